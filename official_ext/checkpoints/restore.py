"""Loads a trained model into a new one, and says exactly what it did.

Any layouts of equal widths and depth exchange weights (paper, section 3.2 and
its table 1), at any resolution and with any number of classes. What is not
explained by what the user asked for is an error.

A plan is made from the names and shapes of a source alone, and only then
carried out, so that a model is changed wholly or not at all.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
import dataclasses

from absl import logging
import tf_keras

from official_ext.checkpoints import model_kind
from official_ext.checkpoints import position_embedding
from official_ext.checkpoints import sources
from official_ext.checkpoints import variable_names
from official_ext.command_line import errors
from official_ext.configs import image_classification
from official_ext.modeling import specs

_MAX_LISTED = 6


class LoadError(errors.UserError):
  """Says that a checkpoint does not fit the model."""


@dataclasses.dataclass(frozen=True)
class Plan:
  """What becomes of every variable.

  Attributes:
    path: where the source is.
    steps: the arrays that are taken, by their names in `variable_names`, and
      how they are resampled, or None.
    loaded: variables of the model that are taken as they are.
    position: the grid of the source's patches, and how it is known.
    resampled: position embeddings, with the grids and the method.
    dropped: what of the source is not wanted, and why.
    initial: variables of the model that keep their initial values.
    otherwise: what the model computes otherwise than the source's, as warnings.
    problems: what does not fit; a plan that has any is not carried out.
    refusal: the message of such a plan; empty if there are no problems.
  """
  path: str
  steps: Mapping[str, position_embedding.Resampling | None]
  loaded: tuple[str, ...]
  position: tuple[str, ...]
  resampled: tuple[str, ...]
  dropped: tuple[str, ...]
  initial: tuple[str, ...]
  otherwise: tuple[str, ...]
  problems: tuple[str, ...]
  refusal: str

  def __str__(self) -> str:
    lines = [f'initialised from {self.path}:']
    for what in ('loaded', 'position', 'resampled', 'dropped', 'initial'):
      names = getattr(self, what)
      shown = f'{len(names)} variables' if what == 'loaded' else (
          '; '.join(_together(names)) or 'none')
      lines.append(f'  {what:10}{shown}')
    return '\n'.join(lines)

  def log(self) -> None:
    """Logs what was done, and warns of what is computed otherwise."""
    logging.info('%s', self)
    for text in self.otherwise:
      logging.warning('task.init_checkpoint: %s', text)


def _together(names: Sequence[str]) -> list[str]:
  """Returns the names, many of one reason in parentheses as their number."""
  reasons = [name.partition(' (')[2] for name in names]
  number = collections.Counter(reasons)
  return list(dict.fromkeys(
      f'{number[reason]} variables ({reason}'
      if reason and number[reason] > _MAX_LISTED else name
      for name, reason in zip(names, reasons)))


def load(model: tf_keras.Model, path: str, modules: str = 'all',
         method: str = 'bilinear',
         source_grid: Sequence[int] | None = None) -> Plan:
  """Initialises a classifier from a checkpoint.

  Args:
    model: Model Garden's ClassificationModel on our backbone, or another model
      around it, whose other variables are of a head.
    path: a model_dir, the folder of a best checkpoint, an export, or the
      prefix of a checkpoint.
    modules: one of `image_classification.INIT_CHECKPOINT_MODULES`.
    method: how the position embedding is resampled.
    source_grid: (rows, columns) of the checkpoint's patches, where it has no
      metadata and they are not square.

  Returns:
    What was done.

  Raises:
    LoadError: if something does not fit, naming the variables with both
      shapes; the model is then unchanged.
    ValueError: if there is no checkpoint or it cannot be read; likewise.
  """
  source = sources.CheckpointSource(path)
  plan = make_plan(model, source, modules, method, source_grid)
  apply(plan, model, source)
  return plan


def make_plan(model: tf_keras.Model, source: sources.Source,
              modules: str = 'all', method: str = 'bilinear',
              source_grid: Sequence[int] | None = None) -> Plan:
  """Finds out what would be loaded, from names and shapes alone.

  Args:
    model: as in `load`; it is not changed.
    source: the arrays.
    modules: as in `load`.
    method: as in `load`.
    source_grid: as in `load`.

  Returns:
    The plan, with what does not fit among it.

  Raises:
    LoadError: if the two are different kinds of models (a class token or none,
      other numbers of layers), naming the settings that agree, or the source's
      grid is unknown or denied.
  """
  errors.check_choice('task.init_checkpoint_modules', modules,
                      image_classification.INIT_CHECKPOINT_MODULES)
  spec = model.backbone.spec
  _check_same_kind(source, spec, modules, source_grid)
  position, resampling = _resampling(source, spec, method, source_grid)
  names = variable_names.of_model(model)
  of_backbone = {id(variable) for variable in model.backbone.variables}
  steps, loaded, resampled, initial, problems = {}, [], [], [], []
  for variable in model.variables:
    name = names.get(id(variable))
    found, wanted = source.shapes.get(name), tuple(variable.shape)
    if modules != 'all' and id(variable) not in of_backbone:
      initial.append(variable.name)
    elif found is None and name and variable_names.is_pool(name):
      initial.append(f'{variable.name} (the mean of a window)')
    elif found is None and name and variable_names.is_of_feature_maps(name):
      initial.append(f'{variable.name} (feature maps)')
    elif (name == variable_names.POSITION_EMBEDDING and
          spec.position_embedding == 'sin_cos'):
      initial.append(f'{variable.name} (sines and cosines)')
    elif found is None:
      problems.append(f'{variable.name} {wanted} is not in it')
    elif (name == variable_names.POSITION_EMBEDDING and resampling and
          found[-1] == wanted[-1]):
      steps[name] = resampling
      resampled.append(f'{variable.name}: {resampling}')
    elif found != wanted:
      problems.append(f'{variable.name} is {found} there and {wanted} here')
      if name and variable_names.is_pool(name):
        problems[-1] += ', of another stride, width or pool_axes'
    else:
      steps[name] = None
      loaded.append(variable.name)
  dropped, unexpected = _left_over(source, set(names.values()), spec, modules)
  problems += [f'{source.origin(name)} {source.shapes[name]} has no place here'
               for name in unexpected]
  return Plan(
      source.path, steps, tuple(loaded), position, tuple(resampled),
      tuple(dropped), tuple(initial),
      tuple(model_kind.computed_otherwise(source, spec, modules == 'all')),
      tuple(problems),
      _refusal(source, spec, modules, problems) if problems else '')


def apply(plan: Plan, model: tf_keras.Model, source: sources.Source,
          is_new: bool = False) -> None:
  """Carries out a plan.

  Args:
    plan: what `make_plan` returned for the model and the source.
    model: the classifier.
    source: the arrays.
    is_new: whether the model is thrown away where this fails, so that no more
      than one array needs memory beside it.

  Raises:
    LoadError: if the plan has problems.
    ValueError: if an array cannot be read; in both cases the model is
      unchanged, unless it is new.
  """
  if plan.problems:
    raise LoadError(plan.refusal)

  def read(name):
    value = source.read(name)
    resampling = plan.steps[name]
    return resampling.apply(value) if resampling else value

  # Everything is read before anything is changed.
  values = {} if is_new else {name: read(name) for name in plan.steps}
  names = variable_names.of_model(model)
  for variable in model.variables:
    name = names.get(id(variable))
    if name in plan.steps:
      variable.assign(read(name) if is_new else values[name])


def _is_head(name: str) -> bool:
  return name.startswith(f'{variable_names.HEAD}/')


def _check_same_kind(source: sources.Source, spec: specs.ModelSpec,
                     modules: str, source_grid: Sequence[int] | None) -> None:
  """Compares parts and depth, without which no variable fits."""
  found = model_kind.differences(source, spec, modules == 'all', source_grid)
  if found:
    raise LoadError(model_kind.describe(source.path, found))
  num_layers = len(
      {variable_names.layer_number(name) for name in source.shapes} - {None})
  if num_layers != spec.layout.num_layers:
    width, = source.shapes.get(variable_names.POSITION_EMBEDDING, [None])[-1:]
    hidden_size = spec.blocks[0].hidden_size
    raise LoadError(
        f'{source.path} has {num_layers} layers, and {spec.layout_with_tokens} '
        f'has {spec.layout.num_layers}. Use a layout of {num_layers} layers' + (
            '.' if width in (None, hidden_size) else
            ' and the sizes that it was trained with: its width is '
            f'{width}, and that of this model is {hidden_size}.'))


def _resampling(source: sources.Source, spec: specs.ModelSpec, method: str,
                given: Sequence[int] | None
                ) -> tuple[tuple[str, ...],
                           position_embedding.Resampling | None]:
  """Says what the grid of a source is, and how it becomes the model's."""
  if variable_names.POSITION_EMBEDDING not in source.shapes:
    return (), None
  grid, how = _source_grid(source, given, spec.num_prefix_positions)
  said = (f'{grid[0]} x {grid[1]} patches: {how}',)
  if grid == spec.grid:
    return said, None
  return said, position_embedding.Resampling(
      grid, spec.grid, spec.num_prefix_positions, method)


def _source_grid(source: sources.Source, given: Sequence[int] | None,
                 num_prefix_positions: int) -> tuple[tuple[int, int], str]:
  """Returns the grid of a position embedding, and how it is known."""
  if source.description.get('grid'):
    grid = tuple(source.description['grid'])
    if given and tuple(given) != grid:
      raise LoadError(
          f'task.init_checkpoint_grid is {list(given)}, but the metadata of '
          f'the checkpoint says {list(grid)}. Leave the setting out.')
    return grid, 'its metadata says so'
  num_tokens = source.shapes[variable_names.POSITION_EMBEDDING][1]
  num_patches = num_tokens - num_prefix_positions
  if given:
    if given[0] * given[1] != num_patches:
      raise LoadError(
          f'task.init_checkpoint_grid is {list(given)}, but the checkpoint has '
          f'{num_patches} patches.')
    return tuple(given), 'init_checkpoint_grid says so'
  square = position_embedding.guess_square_grid(num_patches)
  if square is None:
    raise LoadError(
        f'the checkpoint carries no metadata, and its {num_patches} patches '
        'are no square. Set task.init_checkpoint_grid=[rows,columns].')
  return square, 'without metadata, a square is taken'


def _left_over(source: sources.Source, known: set[str], spec: specs.ModelSpec,
               modules: str) -> tuple[list[str], list[str]]:
  """Returns what of a source is dropped on purpose, and what has no place."""
  unexpected = set(source.shapes) - known
  dropped = []
  # A layout of fewer blocks, which need no more of them.
  pools = set(filter(variable_names.is_pool, unexpected))
  if pools:
    shown = ', '.join(sorted(name.partition('/')[0] for name in pools))
    dropped.append(f'{shown} (this model has {len(spec.blocks) - 1 or "no"} '
                   f'{"pool" if len(spec.blocks) == 2 else "pools"})')
    unexpected -= pools
  maps = set(filter(variable_names.is_of_feature_maps, unexpected))
  if maps:
    dropped.append(f'{len(maps)} variables of feature maps (this model has '
                   f'{"others" if spec.feature_maps.levels else "none"})')
    unexpected -= maps
  if modules != 'all':
    # What a head was trained behind means nothing without it.
    for part, what, is_here in (
        (variable_names.PRE_LOGITS, 'pre-logits', spec.representation_size),
        (variable_names.PROJECTION, 'projection', spec.projection_size),
        (variable_names.MAP_HEAD, 'attention-pooling head',
         spec.pooler == 'map')):
      of_part = {name for name in unexpected if name.startswith(f'{part}/')}
      if of_part and not is_here:
        dropped.append(f'{what} (this model has none)')
        unexpected -= of_part
    if any(map(_is_head, source.shapes)):
      dropped.append(f'head (init_checkpoint_modules={modules})')
    unexpected = {name for name in unexpected if not _is_head(name)}
  return dropped, sorted(unexpected, key=source.origin)


def _refusal(source: sources.Source, spec: specs.ModelSpec, modules: str,
             problems: Sequence[str]) -> str:
  """Puts what does not fit into one message."""
  listed = '; '.join(problems[:_MAX_LISTED])
  if len(problems) > _MAX_LISTED:
    listed += f'; and {len(problems) - _MAX_LISTED} more'
  fix = 'Use the widths, heads, depth and patch size of the checkpoint'
  described = source.description
  if described.get('layout'):
    fix += (f' ({described["model_name"]}, {described["layout"]}, patches of '
            f'{described["patch_size"]} px)')
  if modules == 'all':
    fix += ('; or task.init_checkpoint_modules=all_but_head where only the '
            'classes or the pre-logits differ')
  return (f'{source.path} does not fit {spec.model_name}, '
          f'{spec.layout_with_tokens}: {listed}. {fix}.')
