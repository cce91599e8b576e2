"""Finds the layouts that meet a budget: how many layers in which block?

What pooling saves can be re-invested in more layers (paper, section 5.2.2).
Every cost is a constant and a fixed amount for each further layer of a block,
so `costs` is asked once a block and the layouts are then added up: the figures
are those of `costs`, to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import fractions
import functools
import math

from official_ext.configs import backbones
from official_ext.modeling import costs
from official_ext.modeling import layout as layout_lib
from official_ext.modeling import specs

MIB = 2 ** 20
FLOAT32_BYTES = 4
# Beyond these many times the preset's layers a layout is seldom wanted.
DEFAULT_DEPTH_FACTOR = 3
# What the notation of layouts takes in one block.
_MOST_LAYERS = 1_000
# Some twenty seconds on one core.
_MOST_CHOICES = 2_000_000


@dataclasses.dataclass(frozen=True)
class Budgets:
  """What a layout may cost; None sets no limit.

  Attributes:
    max_gmacs: multiply-adds of one image's forward pass, 1e9.
    max_parameters_millions: trainable parameters, 1e6.
    max_activations_mib: activations kept for the backward pass of a batch, as
      `costs.count_kept_activations` counts them, MiB.
    batch_size: images in the batch.
    bytes_per_value: 4 for float32, 2 for bfloat16.
  """
  max_gmacs: float | None = None
  max_parameters_millions: float | None = None
  max_activations_mib: float | None = None
  batch_size: int = 1
  bytes_per_value: int = FLOAT32_BYTES

  def __str__(self) -> str:
    return ' and '.join(limit.describe() for limit in _limits(self))


@dataclasses.dataclass(frozen=True)
class Plan:
  """A layout that meets the budgets, and what it costs.

  Attributes:
    layout: in the paper's notation, such as 'B8(197)-8(99)'.
    num_layers: layers of each block.
    num_tokens: tokens of each block, the class token included.
    multiply_adds: of one image's forward pass, the head included.
    num_parameters: trainable, the head included.
    kept_activations: values kept for one image's backward pass.
    used: fraction of the tightest budget; a little above 1 where the cost is
      printed as the budget.
  """
  layout: str
  num_layers: tuple[int, ...]
  num_tokens: tuple[int, ...]
  multiply_adds: int
  num_parameters: int
  kept_activations: int
  used: float


@dataclasses.dataclass(frozen=True)
class Plans:
  """What was found.

  Attributes:
    num_layouts: how many layouts meet the budgets.
    max_layers: the most layers in total that were considered.
    nearest: the layouts nearest to the budgets, the nearest first.
  """
  num_layouts: int
  max_layers: int
  nearest: tuple[Plan, ...]


@dataclasses.dataclass(frozen=True)
class _Limit:
  """One budget: of which of `_costs`, and how many counts make its unit."""
  cost: int
  budget: float
  decimals: int
  scale: fractions.Fraction
  unit: str

  @functools.cached_property
  def most(self) -> int:
    """The largest count that is printed as no more than the budget."""
    half_digit = fractions.Fraction(1, 2 * 10 ** self.decimals)
    return math.floor(
        (fractions.Fraction(str(self.budget)) + half_digit) * self.scale)

  def describe(self, count: int | None = None) -> str:
    """A count, or else the budget, as it is printed."""
    value = self.budget if count is None else float(count / self.scale)
    return f'{value:.{self.decimals}f} {self.unit}'


def num_decimals(value: float, fewest: int) -> int:
  """How many decimals show three digits of a value, but at least `fewest`.

  Args:
    value: what is printed, above 0.
    fewest: decimals of large values.

  Returns:
    The number of decimals.
  """
  return max(fewest, 2 - math.floor(math.log10(value)))


def find(
    budgets: Budgets,
    num_blocks: int,
    *,
    model_name: str = 'vit-b16',
    image_size: tuple[int, int] = (224, 224),
    hidden_size: int | None = None,
    mlp_dim: int | None = None,
    pool_axes: str = layout_lib.SEQUENCE,
    strides: Sequence[int] = (layout_lib.DEFAULT_STRIDE,),
    max_layers: int | None = None,
    min_layers_per_block: int = 1,
    num_classes: int = 1_000,
    top: int | None = None,
) -> Plans:
  """Finds the layouts of a number of blocks that meet all budgets.

  A budget may be exceeded by half of the last digit that is printed: GMACs
  have two decimals, millions of parameters and MiB one, and all at least three
  digits. So B8-8, of 17.6046 GMACs, meets 17.6. The layouts that use most of
  their tightest budget come first; of those that use equally much, the one
  with the fewest multiply-adds.

  Args:
    budgets: at least one.
    num_blocks: blocks of each layout.
    model_name: the preset, of `specs.PRESETS`.
    image_size: (height, width) of the images, px.
    hidden_size: width of every block, which then has hidden / 64 heads; None
      is the preset's, with its heads.
    mlp_dim: width of the MLPs' inner layers; None is the preset's.
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
      has too few patches for the pools, or if a size does not fit.
  """
  limits = _limits(budgets)
  if not limits:
    raise ValueError(
        'no budget is set. Set at least one of max_gmacs, '
        'max_parameters_millions and max_activations_mib, such as '
        'max_gmacs=17.6.')
  _check_at_least_one(num_blocks=num_blocks, top=top,
                      min_layers_per_block=min_layers_per_block)
  config = backbones.FunnelViT(model_name=model_name, pool_axes=pool_axes)
  block = layout_lib.Block(1, hidden_size=hidden_size, mlp_dim=mlp_dim)
  pooled = _pooled_specs(
      config, image_size, num_blocks, block, sorted(set(strides)))
  if max_layers is None:
    depth = specs.PRESETS[model_name]['transformer']['num_layers']
    max_layers = DEFAULT_DEPTH_FACTOR * depth
  fewest_layers = num_blocks * min_layers_per_block
  if not fewest_layers <= max_layers <= _MOST_LAYERS:
    raise ValueError(
        f'max_layers is {max_layers}, but must be {fewest_layers} '
        f'(num_blocks x min_layers_per_block) to {_MOST_LAYERS}.')
  searches = _those_that_fit([
      _Search(spec, limits, max_layers, min_layers_per_block, num_classes)
      for spec in pooled], limits)
  num_choices = sum(search.num_choices for search in searches)
  if num_choices > _MOST_CHOICES:
    raise ValueError(
        f'up to {num_choices:,} choices of layers would have to be tried, but '
        f'at most {_MOST_CHOICES:,} are. Use fewer blocks or strides, a lower '
        'max_layers or a higher min_layers_per_block.')
  return _nearest(searches, max_layers, top)


class _Search:
  """The layouts of one sequence of pools; only the layers are left open."""

  def __init__(self, spec: specs.ModelSpec, limits: Sequence[_Limit],
               max_layers: int, min_layers: int, num_classes: int):
    """Asks for the costs of the shallowest layout and of one layer more."""
    self._spec = spec
    self._limits = limits
    self.min_layers = min_layers
    shallowest = [min_layers] * len(spec.blocks)
    self._spare_layers = max_layers - sum(shallowest)
    self.shallowest = self.with_layers(shallowest)
    self.least = _costs(self.shallowest, num_classes)
    self._steps = []
    for index in range(len(shallowest)):
      deeper = list(shallowest)
      deeper[index] += 1
      self._steps.append(tuple(
          after - before for before, after in zip(
              self.least, _costs(self.with_layers(deeper), num_classes))))
    self._left = [limit.most - self.least[limit.cost] for limit in limits]
    self.fits = min(self._left) >= 0  # The shallowest layout at least.

  def with_layers(self, num_layers: Sequence[int]) -> specs.ModelSpec:
    """The model with these numbers of layers."""
    layout = layout_lib.Layout(tuple(
        dataclasses.replace(block, num_layers=layers)
        for block, layers in zip(self._spec.layout.blocks, num_layers)))
    blocks = tuple(
        dataclasses.replace(block, num_layers=layers)
        for block, layers in zip(self._spec.blocks, num_layers))
    return dataclasses.replace(self._spec, layout=layout, blocks=blocks)

  def costs_of(self, num_layers: Sequence[int]) -> tuple[int, ...]:
    """The costs of a layout, in the order of `Plan`."""
    total = self.least
    for layers, step in zip(num_layers, self._steps):
      more = layers - self.min_layers
      total = [cost + more * added for cost, added in zip(total, step)]
    return tuple(total)

  def used(self, all_costs: Sequence[int]) -> float:
    """The fraction of the tightest budget."""
    return max(all_costs[limit.cost] / (limit.budget * float(limit.scale))
               for limit in self._limits)

  @property
  def num_choices(self) -> int:
    """How many choices `deepest` yields at most."""
    spare = min(self._spare_layers, *(
        left // min(step[limit.cost] for step in self._steps)
        for limit, left in zip(self._limits, self._left)))
    return math.comb(spare + len(self._steps) - 1, len(self._steps) - 1)

  def deepest(self) -> Iterator[tuple[int, ...]]:
    """Every choice of layers, with as many as possible in the last block."""
    steps = [tuple(step[limit.cost] for limit in self._limits)
             for step in self._steps]
    for added in _added_layers(steps, self._left, self._spare_layers):
      yield tuple(self.min_layers + layers for layers in added)


def _added_layers(steps: Sequence[Sequence[int]], left: Sequence[int],
                  spare_layers: int) -> Iterator[tuple[int, ...]]:
  """Every way to add layers to blocks, with as many as can be in the last.

  `steps` is what one more layer of each block costs, in each of the budgets,
  and `left` what is left of these.
  """
  step, *later = steps
  most = min(spare_layers, *(
      amount // cost for amount, cost in zip(left, step)))
  if not later:
    yield (most,)
    return
  for added in range(most + 1):
    still_left = [amount - added * cost for amount, cost in zip(left, step)]
    for others in _added_layers(later, still_left, spare_layers - added):
      yield (added, *others)


def _nearest(searches: Sequence[_Search], max_layers: int,
             top: int | None) -> Plans:
  """Counts the layouts of all searches and keeps those nearest to budget."""
  num_layouts = 0
  kept = []
  threshold = 0.0
  for index, search in enumerate(searches):
    for *layers, most in search.deepest():
      num_layouts += most - search.min_layers + 1
      for last in range(most, search.min_layers - 1, -1):
        all_costs = search.costs_of((*layers, last))
        used = search.used(all_costs)
        # What follows has fewer layers, so uses less still.
        if used < threshold:
          break
        kept.append((-used, all_costs, (*layers, last), index))
      if top and len(kept) > 4 * top + 1_000:
        kept = sorted(kept)[:top]
        threshold = -kept[-1][0]
  nearest = []
  for negative_used, all_costs, layers, index in sorted(kept)[:top]:
    spec = searches[index].with_layers(layers)
    nearest.append(Plan(
        spec.layout_with_tokens, layers,
        tuple(block.num_tokens for block in spec.blocks), *all_costs,
        used=-negative_used))
  return Plans(num_layouts, max_layers, tuple(nearest))


def _costs(spec: specs.ModelSpec, num_classes: int) -> tuple[int, int, int]:
  """The costs of a model, in the order of `Plan`."""
  return (costs.count_multiply_adds(spec, num_classes),
          costs.count_parameters(spec, num_classes),
          costs.count_kept_activations(spec))


def _pooled_specs(
    config: backbones.FunnelViT, image_size: tuple[int, int], num_blocks: int,
    block: layout_lib.Block, strides: Sequence[int]) -> list[specs.ModelSpec]:
  """The models of all sequences of pools, with one layer in each block."""
  def resolve(blocks):
    text = str(layout_lib.Layout(blocks))
    return specs.resolve(dataclasses.replace(config, layout=text), image_size)

  found = [resolve((block,))]
  for num_found in range(1, num_blocks):
    longer = []
    for spec in found:
      for stride in strides:
        pooled = dataclasses.replace(block, stride=stride)
        try:
          longer.append(resolve((*spec.layout.blocks, pooled)))
        except ValueError as error:
          # Later on, too few patches may be left for a stride.
          if num_found == 1:
            raise ValueError(f'strides: {stride} does not fit; {error}') from (
                error)
    if not longer:
      grid = ' x '.join(map(str, found[0].grid))
      raise ValueError(
          f'num_blocks is {num_blocks}, but {grid} patches can be pooled at '
          f'most {num_found - 1} times, with strides {strides} and pool_axes='
          f'{config.pool_axes!r}. Use at most {num_found} blocks, smaller '
          'strides or a larger image.')
    found = longer
  # The token counts tell the strides, and are printed.
  untyped = layout_lib.Layout((block,) * num_blocks)
  return [dataclasses.replace(spec, layout=untyped) for spec in found]


def _limits(budgets: Budgets) -> list[_Limit]:
  """The budgets that are set."""
  _check_at_least_one(batch_size=budgets.batch_size,
                      bytes_per_value=budgets.bytes_per_value)
  images = f' of {budgets.batch_size} images' if budgets.batch_size > 1 else ''
  limits = []
  for cost, (name, fewest_decimals, scale, unit) in enumerate((
      ('max_gmacs', 2, 10 ** 9, 'GMACs'),
      ('max_parameters_millions', 1, 10 ** 6, 'M parameters'),
      ('max_activations_mib', 1, fractions.Fraction(
          MIB, budgets.batch_size * budgets.bytes_per_value),
       f'MiB of activations{images}'))):
    budget = getattr(budgets, name)
    if budget is None:
      continue
    if not 0 < budget < math.inf:
      raise ValueError(
          f'{name} is {budget}, but must be above 0 and finite, or not set.')
    limits.append(_Limit(
        cost, budget, num_decimals(budget, fewest_decimals),
        fractions.Fraction(scale), unit))
  return limits


def _those_that_fit(searches: Sequence[_Search],
                    limits: Sequence[_Limit]) -> list[_Search]:
  """The searches that find something; a ValueError if none does."""
  fitting = [search for search in searches if search.fits]
  if fitting:
    return fitting
  cheapest = min(searches, key=lambda search: search.used(search.least))
  exceeded = [(limit, cheapest.least[limit.cost]) for limit in limits
              if cheapest.least[limit.cost] > limit.most]
  given = ' and '.join(limit.describe() for limit, _ in exceeded)
  needs = ' and '.join(limit.describe(count) for limit, count in exceeded)
  raise ValueError(
      f'no layout meets the budget of {given}: the smallest, '
      f'{cheapest.shallowest.layout_with_tokens}, needs {needs}. Raise the '
      'budget, or use fewer layers, larger strides, smaller images or a '
      'smaller model.')


def _check_at_least_one(**values: int | None) -> None:
  for name, value in values.items():
    if value is not None and value < 1:
      raise ValueError(f'{name} is {value}, but must be at least 1.')
