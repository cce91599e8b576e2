"""Levels of feature maps, and which block of a layout has which.

A step in a map of level l is 2^l px of the image, as Model Garden's decoders
count. This file is plain Python: a level that a layout does not have is refused
before anything is built.

Legend: H x W the grid of patches.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import Any

from official_ext.command_line import errors
from official_ext.configs import backbones
from official_ext.modeling import layout as layout_lib

BLOCKS = 'blocks'
PYRAMID = 'pyramid'
SOURCES = (BLOCKS, PYRAMID)

MAX_LEVEL = 10


@dataclasses.dataclass(frozen=True)
class FeatureMapsSpec:
  """Everything that fixes the variables of feature maps.

  What has no effect on them is left at 0, so that equal maps are equal here.

  Attributes:
    levels: ascending; none: there are no maps.
    source: where they come from, one of `SOURCES`.
    recovery_layers: transformer layers after full-length tokens are recovered.
    pyramid_filters: channels of the maps of a pyramid.
  """
  levels: tuple[int, ...] = ()
  source: str = BLOCKS
  recovery_layers: int = 0
  pyramid_filters: int = 0


NONE = FeatureMapsSpec()


def as_dict(spec: FeatureMapsSpec) -> dict[str, Any]:
  """Returns the sizes as values that JSON gives back as they are."""
  return dataclasses.asdict(spec) | {'levels': list(spec.levels)}


def resolve(config: backbones.FeatureMaps, layout: layout_lib.Layout,
            blocks: Sequence[layout_lib.ResolvedBlock],
            patch_size: int) -> FeatureMapsSpec:
  """Works out feature maps from their configuration.

  Args:
    config: of the maps.
    layout: as typed, for messages.
    blocks: as `layout.resolve` returns them.
    patch_size: side of a patch, px.

  Returns:
    The sizes of the maps.

  Raises:
    ValueError: if a name or a number does not fit, or the layout has no block
      of a level, naming the levels that it has.
  """
  errors.check_choice('feature_maps.source', config.source, SOURCES)
  for name, least in (('recovery_layers', 0), ('pyramid_filters', 1)):
    if getattr(config, name) < least:
      raise ValueError(
          f'feature_maps.{name} is {getattr(config, name)}, but must be at '
          f'least {least}.')
  levels = tuple(sorted(config.levels))
  if not levels:
    return NONE
  shown = f'feature_maps.levels is {list(config.levels)}'
  if len(set(levels)) < len(levels):
    raise ValueError(f'{shown}, but must name a level once.')
  if not 1 <= levels[0] <= levels[-1] <= MAX_LEVEL:
    raise ValueError(
        f'{shown}, but levels are 1 to {MAX_LEVEL}. A level is the logarithm '
        'to the base of 2 of a step in px: 4 is 16 px.')
  full_length = of_patches(patch_size)
  if config.source == PYRAMID:
    return FeatureMapsSpec(levels, PYRAMID, config.recovery_layers,
                           config.pyramid_filters)
  _check_blocks(levels, layout, blocks, patch_size, shown)
  return FeatureMapsSpec(
      levels, recovery_layers=(
          config.recovery_layers if full_length in levels else 0))


def of_patches(patch_size: int) -> int:
  """Returns the level of patches, which is that of full-length tokens.

  Args:
    patch_size: side of a patch, px.

  Returns:
    The level.

  Raises:
    ValueError: if the side is no power of two, so that there is no level.
  """
  level = patch_size.bit_length() - 1
  if patch_size != 2 ** level:
    raise ValueError(
        f'feature_maps.levels is set, but patch_size is {patch_size}: a level '
        'is a power of two in px, as decoders count. Use patches of '
        f'{2 ** level} or {2 ** (level + 1)} px, or feature_maps.levels=[].')
  return level


def of_blocks(blocks: Sequence[layout_lib.ResolvedBlock],
              patch_size: int) -> dict[int, int]:
  """Finds the blocks after the first whose tokens form a grid of a level.

  The tokens of a pool along the sequence form none, nor do those of a grid that
  is pooled along one axis once more than along the other: their steps are of
  two lengths.

  Args:
    blocks: as `layout.resolve` returns them.
    patch_size: side of a patch, px, a power of two.

  Returns:
    The index of the block, by level.
  """
  found = {}
  rows = columns = 1
  for index, block in enumerate(blocks[1:], start=1):
    if len(block.pool_window) == 1:
      break  # What follows pools the sequence, too.
    rows *= block.pool_window[0]
    columns *= block.pool_window[1]
    if rows == columns:
      found[of_patches(patch_size * rows)] = index
  return found


def has_full_length(spec: FeatureMapsSpec, patch_size: int) -> bool:
  """Says whether maps are made of recovered tokens.

  Args:
    spec: of the maps.
    patch_size: side of a patch, px.

  Returns:
    Whether one of them is, so that there is something to recover.
  """
  return spec.source == PYRAMID or (
      bool(spec.levels) and of_patches(patch_size) in spec.levels)


def normalized(spec: FeatureMapsSpec,
               blocks: Sequence[layout_lib.ResolvedBlock],
               patch_size: int) -> dict[int, int]:
  """Finds the maps that are of a block between the first and the last.

  Args:
    spec: of the maps.
    blocks: as `layout.resolve` returns them.
    patch_size: side of a patch, px.

  Returns:
    The index of the block, by level; each such map has a LayerNorm of its own.
  """
  if not spec.levels or spec.source == PYRAMID:
    return {}
  return {level: index
          for level, index in of_blocks(blocks, patch_size).items()
          if level in spec.levels and index < len(blocks) - 1}


def up_sampled_sizes(hidden_size: int, num_steps: int) -> list[int]:
  """Returns the channels after each transposed convolution.

  Args:
    hidden_size: channels before the first.
    num_steps: how many there are, or less than one for none.

  Returns:
    Their channels, in order.
  """
  return [max(1, hidden_size // 2 ** step)
          for step in range(1, num_steps + 1)]


def map_shape(level: int, grid: Sequence[int],
              patch_size: int) -> tuple[int, int]:
  """Returns the sides of a map.

  Args:
    level: of the map.
    grid: patches of the image, (rows, columns).
    patch_size: side of a patch, px.

  Returns:
    (rows, columns). Where a side of the grid is odd, a step at its end is
    shorter, as in a pool.
  """
  steps = level - of_patches(patch_size)
  if steps <= 0:
    return tuple(side * 2 ** -steps for side in grid)
  return tuple(-(-side // 2 ** steps) for side in grid)


def _check_blocks(levels: Sequence[int], layout: layout_lib.Layout,
                  blocks: Sequence[layout_lib.ResolvedBlock], patch_size: int,
                  shown: str) -> None:
  """Refuses levels that no block has."""
  there = sorted({of_patches(patch_size), *of_blocks(blocks, patch_size)})
  missing = [level for level in levels if level not in there]
  if not missing:
    return
  along_sequence = any(len(block.pool_window) == 1 for block in blocks)
  raise ValueError(
      f'{shown}, but layout {str(layout)!r} has no block whose tokens form a '
      f'grid of {2 ** missing[0]} px, for level {missing[0]}' +
      (': pools along the sequence leave no grid'
       if along_sequence else '') +
      f'. It has {", ".join(map(str, there))}. Leave out what it lacks, take '
      'every level from the recovered tokens (feature_maps.source=pyramid), or '
      'pool 2 x 2 patches (pool_axes=grid and s4 in the block).')
