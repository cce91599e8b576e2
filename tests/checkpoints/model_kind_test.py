"""Tests of what is said where a source and a model are of two kinds."""

import types

import pytest

from official_ext.checkpoints import model_kind
from official_ext.configs import backbones
from official_ext.modeling import specs

WIDTH = 64


def shapes_and_spec(**settings):
  """What these settings make of 2 x 3 patches, and the model's sizes."""
  spec = specs.resolve(
      backbones.FunnelViT(model_name='vit-nano4', layout='B1', **settings),
      (8, 12))
  shapes = {'embedding/kernel': (4, 4, 3, WIDTH), 'position_embedding': (
      1, 6 + spec.num_prefix_positions, WIDTH)}
  for is_there, name in (
      (spec.has_class_token, 'class_token'),
      (spec.has_distillation_token, 'distillation_token'),
      (spec.patch_bias, 'embedding/bias'),
      (spec.norm_before_layers, 'norm_before_layers/gamma'),
      (spec.final_norm != 'none', 'norm/gamma'),
      (spec.pooler == 'map', 'map_head/probe')):
    if is_there:
      shapes[name] = (1, 1, WIDTH)
  if spec.projection_size:
    shapes['projection/kernel'] = (WIDTH, spec.projection_size)
  if spec.num_registers:
    shapes['registers'] = (1, spec.num_registers, WIDTH)
  return shapes, spec


def message(there, here, grid=(2, 3), takes_head=False):
  shapes, _ = shapes_and_spec(**there)
  _, spec = shapes_and_spec(**here)
  source = types.SimpleNamespace(
      shapes=shapes, description={'grid': list(grid)} if grid else {})
  found = model_kind.differences(source, spec, takes_head)
  return model_kind.describe('a', found) if found else None


SAME = [{}, dict(pooler='gap'), dict(pooler='map', num_registers=3),
        dict(distillation_token=True), dict(class_token_position=False)]


@pytest.mark.parametrize('settings', SAME, ids=str)
def test_nothing_is_said_of_two_of_a_kind(settings):
  assert message(settings, settings, takes_head=True) is None


# What the source has that the default has not, what is said in a model of the
# default, and the other way round.
CASES = [
    (dict(pooler='gap'), 'no class token, and this model has a class token',
     'pooler=gap',
     'a class token, and this model has no class token', 'class_token=true'),
    (dict(distillation_token=True),
     'a distillation token, and this model has no distillation token',
     'distillation_token=true',
     'no distillation token, and this model has a distillation token',
     'distillation_token=false'),
    (dict(num_registers=4), '4 registers, and this model has none',
     'num_registers=4', 'no registers, and this model has 4',
     'num_registers=0'),
    (dict(patch_bias=False),
     'no bias of the patches, and this model has a bias of the patches',
     'patch_bias=false',
     'a bias of the patches, and this model has no bias of the patches',
     'patch_bias=true'),
    (dict(norm_before_layers=True), 'a LayerNorm before the layers, and this '
     'model has no LayerNorm before the layers', 'norm_before_layers=true',
     'no LayerNorm before the layers, and this model has a LayerNorm before '
     'the layers', 'norm_before_layers=false'),
    (dict(final_norm='none'),
     'no final LayerNorm, and this model has one', 'final_norm=none',
     'a final LayerNorm, and this model has none',
     'final_norm=tokens'),
    (dict(class_token_position=False),
     'no position of the class token, and this model has one',
     'class_token_position=false',
     'a position of the class token, and this model has none',
     'class_token_position=true'),
    # A head of its own is dropped, or missed.
    (dict(pooler='map', class_token=True), None, None,
     'no attention-pooling head, and this model has one', 'pooler=token'),
    (dict(projection_size=8), None, None,
     'no projection, and this model has one', 'projection_size=0'),
]
FEATURES = [
    (dict(projection_size=8), 'a projection', ['projection_size=8']),
    (dict(pooler='map', class_token=True), 'an attention-pooling head',
     ['pooler=map', 'class_token=true']),
    (dict(pooler='map'), 'no class token, and this model has a class token; it '
     'has an attention-pooling head', ['pooler=map']),
]
PATH = 'task.model.backbone.funnel_vit'


@pytest.mark.parametrize('settings, there, fix, here, other_fix', CASES)
def test_a_difference_and_the_setting_that_agrees(
    settings, there, fix, here, other_fix):
  assert message(settings, {}) == (
      there and f'a has {there}. Set {PATH}.{fix}.')
  assert message({}, settings) == f'a has {here}. Set {PATH}.{other_fix}.'


@pytest.mark.parametrize('settings, there, fixes', FEATURES)
def test_a_head_is_taken_with_what_it_reads(settings, there, fixes):
  assert message(settings, {}, takes_head=True) == (
      f'a has {there}, and this model has none. Set '
      f'{", ".join(f"{PATH}.{fix}" for fix in fixes)}.')


def test_all_differences_are_told_at_once():
  assert message(
      dict(distillation_token=True, num_registers=2),
      dict(pooler='token_and_distillation', distillation_token=True,
           patch_bias=False)) == (
      'a has 2 registers, and this model has none; it has a bias of the '
      'patches, and this model has no bias of the patches. Set '
      'task.model.backbone.funnel_vit.num_registers=2, '
      'task.model.backbone.funnel_vit.patch_bias=true.')
  assert message({}, dict(
      pooler='token_and_distillation', distillation_token=True)).endswith(
          'Set task.model.backbone.funnel_vit.pooler=token, '
          'task.model.backbone.funnel_vit.distillation_token=false.')


def test_without_a_grid_a_square_tells_the_positions():
  # Six patches are no square, and neither are seven.
  assert message(dict(class_token_position=False), {}, grid=None) is None
  shapes, spec = shapes_and_spec()
  source = types.SimpleNamespace(description={}, shapes={
      **shapes, 'position_embedding': (1, 196, WIDTH)})
  found = model_kind.differences(source, spec, takes_head=False)
  assert [one.settings for one in found] == [('class_token_position=false',)]
