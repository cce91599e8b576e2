"""Moves a position embedding from one grid of patches to another.

The paper (section 3.1) resamples it in two dimensions when the resolution
changes, by where the patches lie in the image. It is done once, when a
checkpoint is loaded.

Legend: H x W the grid of patches, N = H * W, T places, those of the class token
and the distillation token included, D hidden size.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.configs import image_classification


@dataclasses.dataclass(frozen=True)
class Resampling:
  """A position embedding that moves to another grid.

  Attributes:
    source_grid: (rows, columns) that it was trained on.
    target_grid: (rows, columns) that it is wanted on.
    num_prefix_positions: places before those of the patches: of the class
      token and a distillation token.
    method: 'bilinear' or 'bicubic'.
  """
  source_grid: tuple[int, int]
  target_grid: tuple[int, int]
  num_prefix_positions: int
  method: str = 'bilinear'

  def __str__(self) -> str:
    (rows, columns), (new_rows, new_columns) = (
        self.source_grid, self.target_grid)
    return (f'{rows} x {columns} -> {new_rows} x {new_columns} patches, '
            f'{self.method}')

  def apply(self, embedding: np.ndarray) -> np.ndarray:
    """Resamples the places of the patches and keeps those before them.

    Args:
      embedding: [1, T, D] of the source grid.

    Returns:
      [1, T', D] of the target grid, of the type of `embedding`.

    Raises:
      ValueError: if the embedding does not fit its grid, or the method is
        unknown.
    """
    errors.check_choice('the resampling method', self.method,
                        image_classification.RESIZE_METHODS)
    skip = self.num_prefix_positions
    num_tokens = embedding.shape[1]
    rows, columns = self.source_grid
    if num_tokens - skip != rows * columns:
      raise ValueError(
          f'a position embedding of {num_tokens} places, {skip} of them before '
          f'the patches, does not fit a grid of {rows} x {columns} patches.')
    hidden_size = embedding.shape[-1]
    # [1, N, D] -> [1, H, W, D] -> [1, H', W', D] -> [1, N', D]
    grid = embedding[:, skip:].reshape(1, rows, columns, hidden_size)
    resized = tf.image.resize(
        grid, self.target_grid, method=self.method).numpy()
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
