"""Tests of what is said where a source and a model are of two kinds."""

import types

import classifiers
import numpy as np
import pytest

from official_ext.checkpoints import model_kind
from official_ext.checkpoints import position_embedding
from official_ext.checkpoints import restore
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
  if spec.has_layer_scale:
    shapes['layer_1/attention_scale/gamma'] = (1, 1, WIDTH)
  if spec.representation_size:
    shapes['pre_logits/kernel'] = (WIDTH, spec.representation_size)
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
    (dict(layer_scale_init_value=0.1), 'LayerScale, and this model has none',
     'layer_scale_init_value=1e-5',
     'no LayerScale, and this model has it', 'layer_scale_init_value=0'),
    # A head of its own is dropped, or missed.
    (dict(representation_size=8), None, None, 'no pre-logits layer, and this '
     'model has one', 'representation_size=0'),
    (dict(pooler='map', class_token=True), None, None,
     'no attention-pooling head, and this model has one', 'pooler=token'),
    (dict(projection_size=8), None, None,
     'no projection, and this model has one', 'projection_size=0'),
]
FEATURES = [
    (dict(projection_size=8), 'a projection', ['projection_size=8']),
    (dict(representation_size=8), 'a pre-logits layer',
     ['representation_size=8']),
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


def test_pools_that_have_learned():
  def found(name, **settings):
    shapes, _ = shapes_and_spec()
    spec = specs.resolve(backbones.FunnelViT(
        model_name='vit-nano4', **{'layout': 'B1-1', **settings}), (8, 12))
    source = types.SimpleNamespace(
        shapes={**shapes, name: (2, WIDTH)}, description={'grid': [2, 3]})
    return model_kind.differences(source, spec, takes_head=True)

  difference, = found('pool_1/kernel')
  assert difference == model_kind.Difference(
      'pools of pooling=conv', 'those of pooling=mean', ('pooling=conv',))
  difference, = found('pool_1/projection', pooling='conv')
  assert difference == model_kind.Difference(
      'pools of pooling=weighted', 'those of pooling=conv',
      ('pooling=weighted',))
  assert not found('pool_1/kernel', pooling='conv')
  assert not found('pool_12/projection', pooling='weighted')
  # Nothing is pooled in one block.
  assert not found('pool_1/kernel', layout='B2')
  # A projection of another part is no pool's.
  assert not found('projection_1/kernel')


def otherwise(takes_head, **description):
  _, spec = shapes_and_spec()
  source = types.SimpleNamespace(
      path='a', shapes={}, description=description)
  return model_kind.computed_otherwise(source, spec, takes_head)


def test_the_same_variables_that_compute_otherwise():
  assert otherwise(True) == []
  assert otherwise(True, activation='gelu_tanh', norm_epsilon=1e-6,
                   pooler='token', final_norm='tokens') == []
  assert otherwise(False, norm_epsilon=1e-12, pooler='gap') == [
      'a was trained with transformer.norm_epsilon=1e-12, and this model has '
      f'1e-06. Set {PATH}.transformer.norm_epsilon=1e-12, unless it is meant.']
  assert [text.split(', and')[0] for text in otherwise(
      True, activation='gelu_erf', pooler='gap', final_norm='pooled')] == [
          'a was trained with transformer.activation=gelu_erf',
          'a was trained with pooler=gap',
          'a was trained with final_norm=pooled']


def test_pools_that_learned_after_another_layer():
  spec = specs.resolve(backbones.FunnelViT(
      model_name='vit-nano4', layout='B3-2-1', pooling='conv'), (16, 16))

  def found(layout, name='pool_1/kernel'):
    return model_kind.computed_otherwise(types.SimpleNamespace(
        path='a', shapes={name: (2, 8)}, description={'layout': layout}),
        spec, True)

  assert not found('B3(17)-2(9)-1(5)')
  assert not found('B3-3')
  assert not found('B2-4', 'token')
  assert found('B2-4') == [
      'a learned to pool elsewhere: its pool 1 came after layer 2 and comes '
      f"after layer 3 here. Set {PATH}.layout='B2-4', unless it is meant."]
  assert found('B2-2-2') == [
      'a learned to pool elsewhere: its pool 1 came after layer 2 and comes '
      'after layer 3 here; its pool 2 came after layer 4 and comes after layer '
      f"5 here. Set {PATH}.layout='B2-2-2', unless it is meant."]


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


DISTILLED = dict(
    distillation_token=True, num_registers=3, class_token_position=False,
    norm_before_layers=True, patch_bias=False, final_norm='pooled',
    projection_size=24)


@pytest.mark.slow
def test_parts_of_published_models_at_another_resolution(tmp_path):
  pretrained, params = classifiers.build(
      1, layout='B2', size=16, pooler='token_and_distillation', **DISTILLED)
  classifiers.save(tmp_path, pretrained, params)
  model, _ = classifiers.build(2, layout='B1-1', size=24, pooler='token',
                               **(DISTILLED | dict(projection_size=0)))
  report = restore.load(model, str(tmp_path), 'all_but_head')
  found, source = classifiers.arrays(model), classifiers.arrays(pretrained)
  assert set(source) - set(found) == {'projection/kernel'}
  for name, value in source.items():
    # All places are of patches.
    if name == 'position_embedding':
      value = position_embedding.Resampling((4, 4), (6, 6), 0).apply(value)
    if name in found and not name.startswith('head/'):
      np.testing.assert_array_equal(found[name], value, err_msg=name)
  assert report.dropped == ('projection (this model has none)',
                            'head (init_checkpoint_modules=all_but_head)')


@pytest.mark.slow
def test_an_attention_pooling_head_is_dropped_with_the_head(tmp_path):
  pretrained, params = classifiers.build(1, pooler='map', class_token=True)
  classifiers.save(tmp_path, pretrained, params)
  model, params = classifiers.build(2)
  report = restore.load(model, str(tmp_path), 'backbone')
  assert report.dropped == ('attention-pooling head (this model has none)',
                            'head (init_checkpoint_modules=backbone)')
  # All of it would have the head read what it was not trained on.
  with pytest.raises(restore.LoadError, match=(
      'has an attention-pooling head, and this model has none. Set '
      'task.model.backbone.funnel_vit.pooler=map, '
      'task.model.backbone.funnel_vit.class_token=true.$')):
    restore.load(model, str(tmp_path), 'all')
  # The other way round it is missing.
  classifiers.save(tmp_path / 'plain', model, params)
  before = [variable.numpy() for variable in pretrained.variables]
  with pytest.raises(restore.LoadError, match=(
      'has no attention-pooling head, and this model has one. Set '
      'task.model.backbone.funnel_vit.pooler=token.$')):
    restore.load(pretrained, str(tmp_path / 'plain'), 'backbone')
  for variable, value in zip(pretrained.variables, before):
    np.testing.assert_array_equal(variable, value)
