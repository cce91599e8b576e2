"""Moves a position embedding from one grid of patches to another.

The paper (section 3.1) resamples it in two dimensions when the resolution
changes, by where the patches lie in the image. It is done once, when a
checkpoint is loaded.

Legend: H x W the grid of patches, N = H * W, T tokens with the class token, D
hidden size.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.configs import image_classification


def resample(embedding: np.ndarray, source_grid: tuple[int, int],
             target_grid: tuple[int, int], has_class_token: bool,
             method: str = 'bilinear') -> np.ndarray:
  """Resamples the patch part and keeps the class token's slot.

  Args:
    embedding: [1, T, D] of the source grid.
    source_grid: (rows, columns) that it was trained on.
    target_grid: (rows, columns) that it is wanted on.
    has_class_token: whether the first token is the class token's.
    method: 'bilinear' or 'bicubic'.

  Returns:
    [1, T', D] of the target grid, of the type of `embedding`.

  Raises:
    ValueError: if the embedding does not fit its grid, or the method is
      unknown.
  """
  errors.check_choice('the resampling method', method,
                      image_classification.RESIZE_METHODS)
  skip = int(has_class_token)
  num_tokens = embedding.shape[1]
  if num_tokens - skip != math.prod(source_grid):
    raise ValueError(
        f'a position embedding of {num_tokens} tokens'
        f'{", the class token among them," if skip else ""} does not fit a '
        f'grid of {source_grid[0]} x {source_grid[1]} patches.')
  if tuple(source_grid) == tuple(target_grid):
    return embedding
  hidden_size = embedding.shape[-1]
  # [1, N, D] -> [1, H, W, D] -> [1, H', W', D] -> [1, N', D]
  grid = embedding[:, skip:].reshape(1, *source_grid, hidden_size)
  resized = tf.image.resize(grid, target_grid, method=method).numpy()
  patches = resized.reshape(1, -1, hidden_size).astype(embedding.dtype)
  return np.concatenate([embedding[:, :skip], patches], axis=1)


def guess_square_grid(num_patches: int) -> tuple[int, int] | None:
  """Guesses the grid of a checkpoint that does not say what it was.

  Args:
    num_patches: how many patches it has.

  Returns:
    The square grid of as many patches, or None if there is none.
  """
  side = math.isqrt(num_patches)
  return (side, side) if side * side == num_patches else None
