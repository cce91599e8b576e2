"""Loads a trained model into a new one, and says exactly what it did.

Any layouts of equal widths and depth exchange weights (paper, section 3.2 and
its table 1), at any resolution and with any number of classes. What is not
explained by what the user asked for is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import tf_keras

from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.checkpoints import position_embedding
from official_ext.configs import image_classification

MODULES = image_classification.INIT_CHECKPOINT_MODULES

_POSITION_EMBEDDING = 'pos_embedding'
_MAX_LISTED = 6


class LoadError(ValueError):
  """A checkpoint that does not fit the model."""


@dataclasses.dataclass
class Report:
  """What became of every variable, by name.

  Attributes:
    checkpoint: prefix of the checkpoint.
    loaded: variables that were taken as they are.
    position: the grid of the checkpoint's patches, and how it is known.
    resampled: position embeddings, with the grids and the method.
    dropped: variables of the checkpoint that are not wanted, and why.
    initial: variables of the model that keep their initial values.
  """
  checkpoint: str
  loaded: list[str] = dataclasses.field(default_factory=list)
  position: list[str] = dataclasses.field(default_factory=list)
  resampled: list[str] = dataclasses.field(default_factory=list)
  dropped: list[str] = dataclasses.field(default_factory=list)
  initial: list[str] = dataclasses.field(default_factory=list)

  def __str__(self) -> str:
    lines = [f'initialised from {self.checkpoint}:']
    for what in ('loaded', 'position', 'resampled', 'dropped', 'initial'):
      names = getattr(self, what)
      shown = f'{len(names)} variables' if what == 'loaded' else (
          '; '.join(names) or 'none')
      lines.append(f'  {what:10}{shown}')
    return '\n'.join(lines)


def load(model: tf_keras.Model, path: str, modules: str = 'all',
         method: str = 'bilinear',
         source_grid: Sequence[int] | None = None) -> Report:
  """Initialises a classifier from a checkpoint.

  Args:
    model: Model Garden's ClassificationModel on our backbone.
    path: a model_dir, the folder of a best checkpoint, an export, or the
      prefix of a checkpoint.
    modules: one of MODULES.
    method: how the position embedding is resampled.
    source_grid: (rows, columns) of the checkpoint's patches, where it has no
      metadata and they are not square.

  Returns:
    What was done.

  Raises:
    LoadError: if something does not fit, naming the variables with both
      shapes; the model is then unchanged.
  """
  if modules not in MODULES:
    raise ValueError(
        f'task.init_checkpoint_modules is {modules!r}, but must be one of '
        f'{", ".join(MODULES)}.')
  saved = object_graph.SavedObjects.read(object_graph.find(path))
  described = metadata.read(saved.path) or {}
  backbone_node = _backbone_node(saved)
  backbone = model.backbone
  spec = backbone.spec
  _check_pooler(saved, backbone_node, spec.has_class_token)

  num_saved = _num_layers(saved, backbone_node)
  if num_saved != spec.layout.num_layers:
    raise LoadError(
        f'{saved.path} has {num_saved} layers, and {spec.layout_with_tokens} '
        f'has {spec.layout.num_layers}. Use a layout of {num_saved} layers.')

  keys = {id(variable): key
          for variable, key in saved.match(backbone, backbone_node)}
  head = {id(variable): variable for variable in model.variables}
  for variable in backbone.variables:
    head.pop(id(variable))
  model_node = saved.descend('model')
  head_keys = set()
  if model_node is not None and model_node != backbone_node:
    head_keys = (_layer_keys(saved, model_node) -
                 _layer_keys(saved, backbone_node))
    if modules == 'all':
      keys |= {id(variable): key
               for variable, key in saved.match(model, model_node)}

  report = Report(saved.path)
  assignments, problems = [], []
  for variable in model.variables:
    if id(variable) in head and modules != 'all':
      report.initial.append(variable.name)
      continue
    key = keys.get(id(variable))
    if key is None:
      problems.append(f'{variable.name} {tuple(variable.shape)} is not in it')
      continue
    if _POSITION_EMBEDDING in variable.name:
      grid, how = _source_grid(
          saved.shape(key), described, source_grid, spec.has_class_token)
      report.position.append(f'{grid[0]} x {grid[1]} patches: {how}')
      if saved.shape(key)[-1] == variable.shape[-1]:
        assignments.append((variable, key, grid))
        if grid == spec.grid:
          report.loaded.append(variable.name)
        else:
          report.resampled.append(
              f'{variable.name}: {grid[0]} x {grid[1]} -> {spec.grid[0]} x '
              f'{spec.grid[1]} patches, {method}')
        continue
    if saved.shape(key) != tuple(variable.shape):
      problems.append(
          f'{variable.name} is {saved.shape(key)} there and '
          f'{tuple(variable.shape)} here')
      continue
    assignments.append((variable, key, None))
    report.loaded.append(variable.name)

  unused = _layer_keys(saved, backbone_node) - set(keys.values())
  pre_logits = _pre_logits_keys(saved, backbone_node)
  # A head that was trained behind pre-logits means nothing without them.
  if (modules != 'all' and not spec.representation_size and
      pre_logits & unused):
    report.dropped.append('pre-logits (this model has none)')
    unused -= pre_logits
  if modules != 'all' and head_keys:
    report.dropped.append(f'head (init_checkpoint_modules={modules})')
  elif modules == 'all':
    unused |= head_keys - set(keys.values())
  problems += [f'{key} {saved.shape(key)} has no place here'
               for key in sorted(unused)]
  if problems:
    raise LoadError(_explain(saved.path, modules, problems, described, spec))

  # Read everything before anything is changed.
  values = []
  for variable, key, grid in assignments:
    value = saved.tensor(key)
    if grid is not None:
      value = position_embedding.resample(
          value, grid, spec.grid, spec.has_class_token, method)
    values.append((variable, value))
  for variable, value in values:
    variable.assign(value)
  return report


def _backbone_node(saved: object_graph.SavedObjects) -> int:
  """Where the backbone is, in all the forms that a checkpoint has."""
  for names in (('backbone',), ('model', '_backbone'),
                ('model', 'layer_with_weights-0'), ('model',), ()):
    node = saved.descend(*names)
    if node is not None and _encoder(saved, node):
      return node
  raise LoadError(
      f'{saved.path} holds no Vision Transformer: there is no encoder in its '
      'backbone.')


def _encoder(saved: object_graph.SavedObjects, node: int) -> int | None:
  """The number of the weighted layer that is the encoder, or None."""
  for name, child in saved.children(node).items():
    if (name.startswith('layer_with_weights-') and
        '_encoder_layers' in saved.children(child)):
      return int(name.removeprefix('layer_with_weights-'))
  return None


def _num_layers(saved: object_graph.SavedObjects, node: int) -> int:
  """The number of transformer layers in a saved backbone."""
  encoder = saved.children(node)[f'layer_with_weights-{_encoder(saved, node)}']
  layers = saved.children(saved.children(encoder)['_encoder_layers'])
  return sum(name.isdigit() for name in layers)


def _layer_keys(saved: object_graph.SavedObjects, node: int) -> set[str]:
  """The keys of a model's layers, without what else is saved beside them."""
  return saved.keys_below(*(
      child for name, child in saved.children(node).items()
      if name.startswith('layer_with_weights-')))


def _pre_logits_keys(saved: object_graph.SavedObjects, node: int) -> set[str]:
  """The keys of the layer that follows the encoder."""
  name = f'layer_with_weights-{_encoder(saved, node) + 1}'
  child = saved.children(node).get(name)
  return saved.keys_below(child) if child is not None else set()


def _check_pooler(saved: object_graph.SavedObjects, node: int,
                  has_class_token: bool) -> None:
  """A class token stands between the patches and the encoder."""
  is_saved = _encoder(saved, node) == 2
  if is_saved != has_class_token:
    there, here = (('a', 'no') if is_saved else ('no', 'a'))
    raise LoadError(
        f'{saved.path} has {there} class token, and this model has {here} '
        'class token. Set task.model.backbone.funnel_vit.pooler to '
        f"{'token' if is_saved else 'gap'}.")


def _source_grid(shape: tuple[int, ...], described: dict, given,
                 has_class_token: bool) -> tuple[tuple[int, int], str]:
  """The grid of a saved position embedding, and how it is known."""
  if described.get('grid'):
    grid = tuple(described['grid'])
    if given and tuple(given) != grid:
      raise LoadError(
          f'task.init_checkpoint_grid is {list(given)}, but the metadata of '
          f'the checkpoint says {list(grid)}. Leave the setting out.')
    return grid, 'its metadata says so'
  num_patches = shape[1] - int(has_class_token)
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


def _explain(path: str, modules: str, problems: Sequence[str],
             described: dict, spec) -> str:
  """Puts what does not fit into one message."""
  listed = '; '.join(problems[:_MAX_LISTED])
  if len(problems) > _MAX_LISTED:
    listed += f'; and {len(problems) - _MAX_LISTED} more'
  mend = 'Use the widths, depth and patch size of the checkpoint'
  if described.get('layout'):
    mend += (f' ({described["model_name"]}, {described["layout"]}, patches of '
             f'{described["patch_size"]} px)')
  if modules == 'all':
    mend += ('; or task.init_checkpoint_modules=all_but_head where only the '
             'classes or the pre-logits differ')
  return (f'{path} does not fit {spec.model_name}, '
          f'{spec.layout_with_tokens}: {listed}. {mend}.')
