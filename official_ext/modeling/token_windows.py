"""Which patches each token stands for: plain integers, no TensorFlow.

Patches and tokens are counted row by row from 0, the class token apart.

Legend: H x W the grid of patches.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
import itertools
import math

import numpy as np
from scipy import ndimage

from official_ext.modeling import layout as layout_lib


def windows(patch_shape: Sequence[int],
            pool_window: Sequence[int]) -> list[list[int]]:
  """Returns the tokens that each pooled token is made of.

  Args:
    patch_shape: the tokens before the pool, `(N,)` or `(H, W)`.
    pool_window: as many window lengths as `patch_shape` has sides.

  Returns:
    Indices of tokens, one list per pooled token; at the end of a side a window
    may be short.
  """
  indices = np.arange(math.prod(patch_shape)).reshape(patch_shape)
  starts = itertools.product(*(
      range(0, side, step) for side, step in zip(patch_shape, pool_window)))
  return [
      indices[tuple(slice(start, start + step) for start, step
                    in zip(corner, pool_window))].ravel().tolist()
      for corner in starts]


def footprints(blocks: Sequence[layout_lib.ResolvedBlock]
               ) -> list[list[list[int]]]:
  """Returns the patches that the patch tokens of every block stand for.

  Args:
    blocks: as `layout.resolve` returns them.

  Returns:
    For every block, for every patch token: its patches, ascending. Every patch
    belongs to one token of each block.
  """
  first, *others = blocks
  result = [[[index] for index in range(math.prod(first.patch_shape))]]
  for before, block in zip(blocks, others):
    result.append([
        sorted(patch for token in window for patch in result[-1][token])
        for window in windows(before.patch_shape, block.pool_window)])
  return result


def sizes(blocks: Sequence[layout_lib.ResolvedBlock]) -> list[list[int]]:
  """Counts the patches that the patch tokens of every block stand for.

  Args:
    blocks: as `layout.resolve` returns them.

  Returns:
    For every block, for every patch token: how many; fewer where a window at
    the end of a side is short.
  """
  sides = [np.ones(side, int) for side in blocks[0].patch_shape]
  result = []
  for block in blocks:
    if block.pool_window:
      sides = [np.add.reduceat(side, np.arange(0, len(side), step))
               for side, step in zip(sides, block.pool_window)]
    result.append(functools.reduce(np.multiply.outer, sides).ravel().tolist())
  return result


def key_sizes(blocks: Sequence[layout_lib.ResolvedBlock],
              num_prefix_tokens: int,
              pool_query_only: bool) -> list[list[int]]:
  """Counts the patches that the keys of every layer stand for.

  Args:
    blocks: as `layout.resolve` returns them.
    num_prefix_tokens: tokens before the patches, which count as one.
    pool_query_only: whether the keys of the first layer after a pool are the
      unpooled tokens.

  Returns:
    For every layer, for every key: how many.
  """
  of_blocks = [[1] * num_prefix_tokens + tokens for tokens in sizes(blocks)]
  result = []
  for index, block in enumerate(blocks):
    layers = [of_blocks[index]] * block.num_layers
    if index and pool_query_only:
      layers[0] = of_blocks[index - 1]
    result += layers
  return result


def owners(tokens: Sequence[Sequence[int]],
           grid: tuple[int, int]) -> np.ndarray:
  """Returns the token that every patch belongs to.

  Args:
    tokens: the patches of each token.
    grid: (H, W).

  Returns:
    Indices of tokens, int [H, W].
  """
  result = np.full(grid, -1)
  for token, patches in enumerate(tokens):
    result.ravel()[list(patches)] = token
  return result


def count_components(patches: Sequence[int], grid: tuple[int, int]) -> int:
  """Counts the connected components of patches, which share sides.

  Args:
    patches: of a token.
    grid: (H, W).

  Returns:
    At least 1.
  """
  _, count = ndimage.label(
      np.isin(np.arange(math.prod(grid)), patches).reshape(grid))
  return count
