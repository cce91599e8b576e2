"""What feature maps cost, beside the model that they are of.

As `costs` counts. Repeating tokens, taking the largest and LayerNorm multiply
nothing that is counted.

Legend: T tokens of the first block, D its hidden size, F channels of a pyramid.
"""

from __future__ import annotations

from collections.abc import Iterator
import itertools
import math

from official_ext.modeling import feature_levels
from official_ext.modeling import layer_costs
from official_ext.modeling import layout as layout_lib
from official_ext.modeling import specs

# Of the second convolution of a pyramid's level, 3 x 3.
_KERNEL = 9


def count_parameters(spec: specs.ModelSpec) -> int:
  """Counts the parameters that feature maps add.

  Args:
    spec: the sizes of the model.

  Returns:
    The number of parameters; 0 without feature maps.
  """
  total = 0
  first, last = spec.blocks[0], spec.blocks[-1]
  if spec.recovers_tokens:
    num_layers = spec.feature_maps.recovery_layers
    if _projects(spec):
      total += (last.hidden_size + 1) * first.hidden_size
    total += num_layers * layer_costs.count_parameters(
        first, spec.has_layer_scale)
    total += _num_norms(spec) * 2 * first.hidden_size
  total += sum(2 * block.hidden_size for block in _normalized_blocks(spec))
  filters = spec.feature_maps.pyramid_filters
  for _, sizes in _pyramid(spec):
    for step, (before, after) in enumerate(itertools.pairwise(sizes)):
      total += 4 * before * after + after
      total += 2 * before if step else 0  # A LayerNorm between two.
    total += sizes[-1] * filters + _KERNEL * filters * filters
    total += 2 * 2 * filters
  return total


def count_multiply_adds(spec: specs.ModelSpec) -> int:
  """Counts the multiply-adds of one image's feature maps.

  Args:
    spec: the sizes of the model.

  Returns:
    The number of multiply-adds; 0 without feature maps.
  """
  total = 0
  first, last = spec.blocks[0], spec.blocks[-1]
  if spec.recovers_tokens:
    if _projects(spec):
      total += last.num_tokens * last.hidden_size * first.hidden_size
    total += spec.feature_maps.recovery_layers * (
        layer_costs.count_multiply_adds(
            first, first.num_tokens, first.num_tokens))
  filters = spec.feature_maps.pyramid_filters
  for level, sizes in _pyramid(spec):
    places = math.prod(spec.grid)
    for before, after in itertools.pairwise(sizes):
      total += 4 * places * before * after
      places *= 4
    places = _places(spec, level)
    total += places * (sizes[-1] * filters + _KERNEL * filters * filters)
  return total


def count_saved_activations(spec: specs.ModelSpec) -> int:
  """Counts the values that feature maps need saved for one image.

  Saved are, beside what the layers of the recovery save:

  - the input of the projection, where first and last block differ in hidden
    size; the input of each of the recovery's LayerNorms, T D;
  - the input of a block's LayerNorm;
  - of a pyramid, its input once; between two transposed convolutions the input
    of LayerNorm, of GELU and of the second; for each level the input of its
    first convolution, unless it is the pyramid's, and three times its places
    times F: the inputs of both LayerNorms and of the second convolution.

  Args:
    spec: the sizes of the model.

  Returns:
    The number of values; 0 without feature maps.
  """
  total = 0
  first, last = spec.blocks[0], spec.blocks[-1]
  if spec.recovers_tokens:
    if _projects(spec):
      total += last.num_tokens * last.hidden_size
    total += spec.feature_maps.recovery_layers * (
        layer_costs.count_saved_activations(
            first, first.num_tokens, first.num_tokens))
    total += _num_norms(spec) * first.num_tokens * first.hidden_size
  total += sum(block.num_tokens * block.hidden_size
               for block in _normalized_blocks(spec))
  if spec.feature_maps.source == feature_levels.PYRAMID:
    total += math.prod(spec.grid) * first.hidden_size
  for level, sizes in _pyramid(spec):
    places = math.prod(spec.grid)
    for size in sizes[1:-1]:
      places *= 4
      total += 3 * places * size
    places = _places(spec, level)
    if level != feature_levels.of_patches(spec.patch_size):
      total += places * sizes[-1]
    total += 3 * places * spec.feature_maps.pyramid_filters
  return total


def _projects(spec: specs.ModelSpec) -> bool:
  return spec.blocks[0].hidden_size != spec.blocks[-1].hidden_size


def _num_norms(spec: specs.ModelSpec) -> int:
  """Counts the recovery's LayerNorms: of the first block, after the layers."""
  return (int(len(spec.blocks) > 1 and spec.final_norm == 'tokens') +
          int(spec.feature_maps.recovery_layers > 0))


def _normalized_blocks(
    spec: specs.ModelSpec) -> list[layout_lib.ResolvedBlock]:
  return [spec.blocks[index] for index in feature_levels.normalized(
      spec.feature_maps, spec.blocks, spec.patch_size).values()]


def _pyramid(spec: specs.ModelSpec) -> Iterator[tuple[int, list[int]]]:
  """Yields a pyramid's levels, and the channels from the first to the last."""
  if spec.feature_maps.source != feature_levels.PYRAMID:
    return
  hidden_size = spec.blocks[0].hidden_size
  for level in spec.feature_maps.levels:
    steps = feature_levels.of_patches(spec.patch_size) - level
    yield level, [
        hidden_size, *feature_levels.up_sampled_sizes(hidden_size, steps)]


def _places(spec: specs.ModelSpec, level: int) -> int:
  return math.prod(
      feature_levels.map_shape(level, spec.grid, spec.patch_size))
