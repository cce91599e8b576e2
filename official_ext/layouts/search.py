"""Finds the layouts that meet a budget: how many layers in which block?

What pooling saves can be re-invested in more layers (paper, section 5.2.2).
Every cost is a constant plus a fixed amount for each further layer of a block,
so `costs` is asked once per block and the layouts are added up from that.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools
import math
from typing import NamedTuple

import numpy as np

from official_ext.configs import backbones
from official_ext.modeling import costs
from official_ext.modeling import layout as layout_lib
from official_ext.modeling import specs

MIB = 2 ** 20
# Beyond these many times the preset's layers a layout is seldom wanted.
_DEFAULT_DEPTH_FACTOR = 3
# What the notation of layouts takes in one block.
_MOST_LAYERS = 1_000
# A few seconds and some hundred MB.
_MOST_CHOICES = 2_000_000
# A budget is typed as the tables print costs, with four digits, and the layout
# that printed it must meet it.
TOLERANCE = 5e-4


@dataclasses.dataclass(frozen=True)
class Budgets:
  """What a layout may cost; None sets no limit.

  Attributes:
    max_gmacs: multiply-adds of one image's forward pass, 1e9.
    max_parameters_millions: trainable parameters, 1e6.
    max_activations_mib: activations saved for the backward pass of a batch, as
      `costs.count_saved_activations` counts them, MiB.
    batch_size: images in the batch.
    bytes_per_value: 4 for float32, 2 for bfloat16.
  """
  max_gmacs: float | None = None
  max_parameters_millions: float | None = None
  max_activations_mib: float | None = None
  batch_size: int = 1
  bytes_per_value: int = 4

  def limits(self) -> np.ndarray:
    """Returns the limits, [3], in their units; infinite where none is set.

    They are in the order of the costs of a `Plan`.

    Raises:
      ValueError: if no budget is set, or one is not a positive number.
    """
    budgets = {name: getattr(self, name) for name in (
        'max_gmacs', 'max_parameters_millions', 'max_activations_mib')}
    for name, budget in budgets.items():
      if budget is not None and not 0 < budget < math.inf:
        raise ValueError(
            f'{name} is {budget}, but must be above 0 and finite, or not set.')
    if set(budgets.values()) == {None}:
      raise ValueError(
          'no budget is set. Set at least one of '
          f'{", ".join(f"--{name}" for name in budgets)}, such as '
          '--max_gmacs=17.6.')
    return np.array([math.inf if budget is None else budget
                     for budget in budgets.values()])

  def in_units(self, counts: np.ndarray) -> np.ndarray:
    """Returns costs [..., 3] of one image in the units of the limits."""
    return counts / np.array(
        [1e9, 1e6, MIB / self.batch_size / self.bytes_per_value])

  def describe(self, values: np.ndarray) -> str:
    """Returns those of three values that are limited, with their units."""
    images = f' of {self.batch_size} images' if self.batch_size > 1 else ''
    units = ('GMACs', 'M parameters', f'MiB of activations{images}')
    return ' and '.join(
        f'{four_digits(value)} {unit}'
        for value, unit, limit in zip(values, units, self.limits())
        if limit < math.inf)

  def __str__(self) -> str:
    return self.describe(self.limits())


class Plan(NamedTuple):
  """A layout that meets the budgets, such as 'B8(197)-8(99)', and its costs.

  `used` is the fraction of the tightest budget; a little above 1 where the
  cost rounds to the budget.
  """
  layout: str
  multiply_adds: int
  num_parameters: int
  saved_activations: int
  used: float


class Plans(NamedTuple):
  """How many layouts meet the budgets, and those nearest to them, in order."""
  num_layouts: int
  max_layers: int
  nearest: tuple[Plan, ...]


def four_digits(value: float) -> str:
  """Formats four digits of a positive number, or all of a large one."""
  return f'{value:#.4g}' if value < 999.95 else f'{value:,.0f}'


def find(
    budgets: Budgets,
    num_blocks: int,
    *,
    model_name: str = 'vit-b16',
    image_size: tuple[int, int] = (224, 224),
    hidden_size: int | None = None,
    mlp_dim: int | None = None,
    pooling: str = 'mean',
    pool_axes: str = layout_lib.SEQUENCE,
    strides: Sequence[int] = (layout_lib.DEFAULT_STRIDE,),
    max_layers: int | None = None,
    min_layers_per_block: int = 1,
    num_classes: int = 1_000,
    top: int | None = None,
) -> Plans:
  """Finds the layouts of a number of blocks that meet all budgets.

  The layouts that use most of their tightest budget come first; of those that
  use equally much, the one with the fewest multiply-adds.

  Args:
    budgets: at least one.
    num_blocks: blocks of each layout.
    model_name: the preset, of `specs.PRESETS`.
    image_size: (height, width) of the images, px.
    hidden_size: width of every block, which then has hidden / 64 heads; None
      is the preset's, with its heads.
    mlp_dim: width of the MLPs' inner layers; None is the preset's.
    pooling: one of `specs.POOLINGS`.
    pool_axes: 'sequence' or 'grid'.
    strides: what a pool may shorten the tokens by.
    max_layers: the most layers in total; None is three times the preset's.
    min_layers_per_block: the fewest layers of a block.
    num_classes: outputs of the head; 0 counts the backbone alone.
    top: how many layouts to return; None is all.

  Returns:
    How many layouts there are, and those nearest to the budgets.

  Raises:
    ValueError: if no budget is set, if nothing meets the budgets, if the image
      has too few patches for the pools or does not consist of whole ones, or
      if a size does not fit.
  """
  limits = budgets.limits()
  pooled = _pooled_specs(
      backbones.FunnelViT(model_name=model_name, pooling=pooling,
                          pool_axes=pool_axes),
      image_size, num_blocks,
      layout_lib.Block(1, hidden_size=hidden_size, mlp_dim=mlp_dim),
      sorted(set(strides)))
  specs.check_patches(image_size, pooled[0].patch_size, '--image_size')
  if max_layers is None:
    depth = specs.PRESETS[model_name]['transformer']['num_layers']
    max_layers = _DEFAULT_DEPTH_FACTOR * depth
  layers = _choices(num_blocks, min_layers_per_block, max_layers, len(pooled))
  # [pools, choices, 3], whole numbers.
  counts = np.stack([_costs_of(spec, layers, num_classes) for spec in pooled])
  values = budgets.in_units(counts)
  used = (values / limits).max(axis=-1)
  pools, rows = np.nonzero(used <= 1 + TOLERANCE)
  if not pools.size:
    cheapest = np.unravel_index(used.argmin(), used.shape)
    smallest = _with_layers(pooled[cheapest[0]], layers[cheapest[1]])
    raise ValueError(
        f'no layout meets the budget of {budgets}: the smallest, '
        f'{smallest.layout_with_tokens}, needs '
        f'{budgets.describe(values[cheapest])}. Raise the budget, or use '
        'fewer layers, larger strides, smaller images or a smaller model.')
  order = np.lexsort((counts[pools, rows, 0], -used[pools, rows]))
  return Plans(pools.size, max_layers, tuple(
      Plan(_with_layers(pooled[pool], layers[row]).layout_with_tokens,
           *counts[pool, row].tolist(), used=float(used[pool, row]))
      for pool, row in zip(pools[order][:top], rows[order][:top])))


def of_depth(config: backbones.FunnelViT, image_size: tuple[int, int],
             num_blocks: int, num_layers: int,
             strides: Sequence[int] = (layout_lib.DEFAULT_STRIDE,)
             ) -> list[specs.ModelSpec]:
  """Returns the models of all layouts of as many blocks and layers.

  Args:
    config: of the backbone, whose widths all blocks have; its own layout means
      nothing.
    image_size: (height, width) of the images, px.
    num_blocks: blocks of each layout.
    num_layers: in total.
    strides: what a pool may shorten the tokens by.

  Returns:
    The models.

  Raises:
    ValueError: if the image has too few patches for the pools, or there are
      fewer layers than blocks.
  """
  pooled = _pooled_specs(config, image_size, num_blocks, layout_lib.Block(1),
                         sorted(set(strides)))
  layers = _choices(num_blocks, 1, num_layers, len(pooled))
  return [_with_layers(spec, row) for spec in pooled
          for row in layers[layers.sum(axis=1) == num_layers]]


def _choices(num_blocks: int, min_layers: int, max_layers: int,
             num_pooled: int) -> np.ndarray:
  """Returns every choice of layers, [choices, blocks]."""
  fewest = num_blocks * min_layers
  if not fewest <= max_layers <= _MOST_LAYERS:
    raise ValueError(
        f'max_layers is {max_layers}, but must be {fewest} '
        f'(num_blocks x min_layers_per_block) to {_MOST_LAYERS}.')
  places = max_layers - fewest + num_blocks
  choices = num_pooled * math.comb(places, num_blocks)
  if choices > _MOST_CHOICES:
    raise ValueError(
        f'{choices:,} choices of layers would have to be tried, but at most '
        f'{_MOST_CHOICES:,} are. Use fewer blocks or strides, a lower '
        'max_layers or a higher min_layers_per_block.')
  # Stars and bars: the spare layers before a bar are those of its block, and
  # those after the last bar are not used.
  bars = np.array(list(itertools.combinations(range(places), num_blocks)))
  return min_layers + np.diff(bars, axis=1, prepend=-1) - 1


def _with_layers(spec: specs.ModelSpec,
                 num_layers: Sequence[int]) -> specs.ModelSpec:
  """Returns the model with these numbers of layers."""
  def replace(blocks):
    return tuple(dataclasses.replace(block, num_layers=int(layers))
                 for block, layers in zip(blocks, num_layers))
  return dataclasses.replace(
      spec, layout=layout_lib.Layout(replace(spec.layout.blocks)),
      blocks=replace(spec.blocks))


def _costs(spec: specs.ModelSpec, num_classes: int) -> tuple[int, int, int]:
  """Returns the costs of a model, in the order of `Plan`."""
  return (costs.count_multiply_adds(spec, num_classes),
          costs.count_parameters(spec, num_classes),
          costs.count_saved_activations(spec))


def _costs_of(spec: specs.ModelSpec, layers: np.ndarray,
              num_classes: int) -> np.ndarray:
  """Returns the costs [choices, 3] of layers [choices, blocks]."""
  ones = np.ones(layers.shape[1], np.int64)
  least = np.array(_costs(_with_layers(spec, ones), num_classes))
  added = np.stack([
      _costs(_with_layers(spec, ones + deeper), num_classes) - least
      for deeper in np.eye(len(ones), dtype=np.int64)])
  return least + (layers - 1) @ added


def _pooled_specs(
    config: backbones.FunnelViT, image_size: tuple[int, int], num_blocks: int,
    block: layout_lib.Block, strides: Sequence[int]) -> list[specs.ModelSpec]:
  """Returns the models of all sequences of pools, a layer in each block."""
  def resolve(*blocks):
    text = str(layout_lib.Layout(blocks))
    return specs.resolve(dataclasses.replace(config, layout=text), image_size)

  found = [resolve(block)]
  for num_pools in range(1, num_blocks):
    longer = []
    for spec, stride in itertools.product(found, strides):
      try:
        longer.append(resolve(
            *spec.layout.blocks, dataclasses.replace(block, stride=stride)))
      except ValueError as error:
        # Later on, too few patches may be left for a stride.
        if num_pools == 1:
          raise ValueError(
              f'strides: {stride} does not fit; {error}') from error
    if not longer:
      grid = ' x '.join(map(str, found[0].grid))
      raise ValueError(
          f'num_blocks is {num_blocks}, but {grid} patches can be pooled at '
          f'most {num_pools - 1} times, with strides {strides} and pool_axes='
          f'{config.pool_axes!r}. Use at most {num_pools} blocks, smaller '
          'strides or a larger image.')
    found = longer
  # The token counts tell the strides, and are printed.
  untyped = layout_lib.Layout((block,) * num_blocks)
  return [dataclasses.replace(spec, layout=untyped) for spec in found]
