"""Compares what kinds of models a source and a model are, by their variables.

A part that one has and the other has not is a setting of the backbone; without
the right one no weights are of use. So these come first, and all at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
import itertools
import math
from typing import NamedTuple

from official_ext.checkpoints import position_embedding
from official_ext.checkpoints import sources
from official_ext.checkpoints import variable_names
from official_ext.modeling import layout
from official_ext.modeling import specs

_BACKBONE = 'task.model.backbone.funnel_vit'
# What metadata say of how a model computes, and the setting of each.
_COMPUTATION = {
    'activation': 'transformer.activation',
    'norm_epsilon': 'transformer.norm_epsilon',
}
_OF_HEAD = {'pooler': 'pooler', 'final_norm': 'final_norm'}


class Difference(NamedTuple):
  """What the source and the model have, and the settings that agree."""
  there: str
  here: str
  settings: tuple[str, ...]


def differences(source: sources.Source, spec: specs.ModelSpec,
                takes_head: bool,
                grid: Sequence[int] | None = None) -> list[Difference]:
  """Finds what a source has and a model has not, or the other way round.

  Args:
    source: the arrays.
    spec: of the model.
    takes_head: whether the head is taken too, and so must be what it reads; or
      else what only the source has of that is no difference.
    grid: (rows, columns) of the source's patches, where the user says so.

  Returns:
    The differences.
  """
  found = [*_of_tokens(source, spec, takes_head),
           *_of_parts(source, spec),
           *_of_positions(source, spec),
           *_of_pools(source, spec),
           *_of_features(source, spec, takes_head)]
  positions = _has_token_positions(source, spec, grid)
  if not found and positions not in (None, spec.class_token_position):
    found.append(Difference(
        f'{_a(positions)} position of the class token',
        'none' if positions else 'one',
        (f'class_token_position={_flag(positions)}',)))
  return found


def computed_otherwise(source: sources.Source, spec: specs.ModelSpec,
                       takes_head: bool) -> list[str]:
  """Finds what a model computes otherwise, with the same variables.

  Args:
    source: of which metadata say how it computes; without any, nothing is
      known.
    spec: of the model.
    takes_head: whether the head is taken too, and so matters what it reads.

  Returns:
    A warning for each difference, that names the setting.
  """
  keys = _COMPUTATION | _OF_HEAD if takes_head else _COMPUTATION
  found = []
  for key, setting in keys.items():
    here = getattr(spec, key)
    there = source.description.get(key, here)
    if there != here:
      found.append(
          f'{source.path} was trained with {setting}={there}, and this model '
          f'has {here}. Set {_BACKBONE}.{setting}={there}, unless it is meant.')
  return found + _moved_pools(source, spec)


def _moved_pools(source: sources.Source, spec: specs.ModelSpec) -> list[str]:
  """Warns of learned pools that are after another layer here.

  Their variables are numbered, so that they fit in any layout of as many
  blocks.
  """
  typed = source.description.get('layout')
  if not typed or not any(map(variable_names.is_pool, source.shapes)):
    return []
  there, here = ([*itertools.accumulate(block.num_layers for block in blocks)]
                 for blocks in (layout.parse(typed).blocks, spec.blocks))
  moved = [
      f'its pool {number} came after layer {before} and comes after layer '
      f'{after} here' for number, (before, after) in enumerate(
          zip(there[:-1], here[:-1]), start=1) if before != after]
  if not moved:
    return []
  return [f'{source.path} learned to pool elsewhere: {"; ".join(moved)}. Set '
          f"{_BACKBONE}.layout='{typed}', unless it is meant."]


def describe(path: str, found: Sequence[Difference]) -> str:
  """Returns the message of differences.

  Args:
    path: of the source.
    found: at least one.

  Returns:
    What is different, and what to set.
  """
  listed = '; it has '.join(
      f'{one.there}, and this model has {one.here}' for one in found)
  settings = dict.fromkeys(
      setting for one in found for setting in one.settings)
  return (f'{path} has {listed}. Set '
          f'{", ".join(f"{_BACKBONE}.{one}" for one in settings)}.')


def _of_tokens(source: sources.Source, spec: specs.ModelSpec,
               takes_head: bool) -> Iterator[Difference]:
  """Compares the tokens before the patches."""
  has = variable_names.CLASS_TOKEN in source.shapes
  if has != spec.has_class_token:
    if has:
      settings = ('class_token=true',)
    elif spec.pooler in specs.TOKEN_POOLERS:
      settings = ('pooler=map' if takes_head and _has(
          source.shapes, variable_names.MAP_HEAD) else 'pooler=gap',)
    else:
      settings = ('class_token=false',)
    yield Difference(
        f'{_a(has)} class token', f'{_a(not has)} class token', settings)
  has = variable_names.DISTILLATION_TOKEN in source.shapes
  if has != spec.has_distillation_token:
    settings = (f'distillation_token={_flag(has)}',)
    if spec.pooler == 'token_and_distillation':
      settings = ('pooler=token', *settings)
    yield Difference(f'{_a(has)} distillation token',
                     f'{_a(not has)} distillation token', settings)
  _, registers, _ = source.shapes.get(variable_names.REGISTERS, (1, 0, 0))
  if registers != spec.num_registers:
    yield Difference(f'{registers or "no"} registers',
                     str(spec.num_registers or 'none'),
                     (f'num_registers={registers}',))


def _of_parts(source: sources.Source,
              spec: specs.ModelSpec) -> Iterator[Difference]:
  """Compares layers that a model has or has not."""
  has_patch_bias = f'{variable_names.EMBEDDING}/bias' in source.shapes
  for there, here, what, setting in (
      (has_patch_bias, spec.patch_bias, 'bias of the patches', 'patch_bias'),
      (_has(source.shapes, variable_names.NORM_BEFORE_LAYERS),
       spec.norm_before_layers, 'LayerNorm before the layers',
       'norm_before_layers')):
    if there != here:
      yield Difference(f'{_a(there)} {what}', f'{_a(here)} {what}',
                       (f'{setting}={_flag(there)}',))
  there = any(name.endswith('_scale/gamma') for name in source.shapes)
  if there != spec.has_layer_scale:
    yield Difference('LayerScale' if there else 'no LayerScale',
                     'none' if there else 'it',
                     (f'layer_scale_init_value={"1e-5" if there else 0}',))
  there, here = (
      _has(source.shapes, variable_names.NORM), spec.final_norm != 'none')
  if there != here:
    yield Difference(f'{_a(there)} final LayerNorm', 'one' if here else 'none',
                     (f'final_norm={"tokens" if there else "none"}',))


def _of_positions(source: sources.Source,
                  spec: specs.ModelSpec) -> Iterator[Difference]:
  """Compares whether positions are learned; computed ones can be further."""
  there = source.description.get('position_embedding', 'learned')
  if spec.position_embedding != there == 'learned':
    yield Difference('a learned position embedding', 'fixed positions',
                     ('position_embedding=learned',))


def _of_pools(source: sources.Source,
              spec: specs.ModelSpec) -> Iterator[Difference]:
  """Compares what pools have learned.

  It is no difference where a model has no pools, or where pools of the model
  begin as the mean.
  """
  for pooling, variable in variable_names.OF_POOL.items():
    if spec.pooling != pooling and len(spec.blocks) > 1 and any(
        variable_names.is_pool(name) and name.endswith(f'/{variable}')
        for name in source.shapes):
      yield Difference(f'pools of pooling={pooling}',
                       f'those of pooling={spec.pooling}',
                       (f'pooling={pooling}',))


def _of_features(source: sources.Source, spec: specs.ModelSpec,
                 takes_head: bool) -> Iterator[Difference]:
  """Compares what is between the tokens and the head."""
  there, here = (
      _has(source.shapes, variable_names.MAP_HEAD), spec.pooler == 'map')
  if there and not here and takes_head:
    settings = ['pooler=map']
    if variable_names.CLASS_TOKEN in source.shapes:
      settings.append('class_token=true')
    yield Difference('an attention-pooling head', 'none', tuple(settings))
  elif here and not there:
    pooler = 'token' if spec.has_class_token else 'gap'
    yield Difference('no attention-pooling head', 'one', (f'pooler={pooler}',))
  for part, wanted, what, setting in (
      (variable_names.PRE_LOGITS, spec.representation_size, 'pre-logits layer',
       'representation_size'),
      (variable_names.PROJECTION, spec.projection_size, 'projection',
       'projection_size')):
    _, size = source.shapes.get(f'{part}/kernel', (0, 0))
    if (size and not wanted and takes_head) or (wanted and not size):
      yield Difference(f'{_a(size)} {what}', 'none' if size else 'one',
                       (f'{setting}={size}',))


def _has_token_positions(source: sources.Source, spec: specs.ModelSpec,
                         grid: Sequence[int] | None) -> bool | None:
  """Says whether the class token has a position; None: it does not show."""
  shape = source.shapes.get(variable_names.POSITION_EMBEDDING)
  num_tokens = spec.num_read_tokens
  if shape is None or not num_tokens:
    return None
  grid = source.description.get('grid') or grid
  for has_positions, num_patches in ((True, shape[1] - num_tokens),
                                     (False, shape[1])):
    if (num_patches == math.prod(grid) if grid else
        position_embedding.guess_square_grid(num_patches)):
      return has_positions
  return None


def _has(names: Collection[str], part: str) -> bool:
  """Says whether there are variables of a part."""
  return any(name.startswith(f'{part}/') for name in names)


def _a(has: bool | int) -> str:
  return 'a' if has else 'no'


def _flag(value: bool) -> str:
  return str(value).lower()
