"""Tests of feature maps of whole backbones: NumPy, decoders, no change else."""

import math

import backbone_reference
import models
import numpy as np
import numpy_reference
from official.vision.configs import backbones as garden_backbones
from official.vision.modeling.backbones import factory
from official.vision.modeling.backbones import vit
from official.vision.modeling.decoders import fpn
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.configs import backbones
from official_ext.modeling import classifier  # noqa: F401
from official_ext.modeling import costs
from official_ext.modeling import feature_maps
from official_ext.modeling import funnel_vit
from official_ext.modeling import specs
from official_ext.modeling import token_windows

pytestmark = pytest.mark.numerics

# vit-nano4 has patches of 4 px: level 2.
SIZE = (20, 28)
PYRAMID = dict(levels=[1, 2, 3], source='pyramid', recovery_layers=1,
               pyramid_filters=6)


def build(layout='B1-1', size=SIZE, maps=None, **settings):
  backbone = models.build_backbone(
      size, layout=layout, feature_maps=maps or {}, **settings)
  models.randomize(backbone)
  return backbone


def expected_maps(image, backbone, config):
  """The maps of one image that come from blocks, by level as text."""
  spec, encoder = backbone.spec, backbone.get_layer('encoder')
  embedded, skip = backbone_reference.embed(image, backbone, config)
  outputs = [numpy_reference.run_blocks(
      embedded, encoder, spec.blocks[:number + 1], pooling=spec.pooling,
      pool_query_only=spec.pool_query_only, num_prefix_tokens=skip)
             for number in range(len(spec.blocks))]
  encoded = outputs[-1]
  if spec.final_norm == 'tokens':
    encoded = numpy_reference.layer_norm(encoded, encoder._norm)
  layer = backbone.get_layer('feature_maps')
  found = {}
  for level in spec.feature_maps.levels:
    if level == 2:
      owners = token_windows.owners(
          token_windows.footprints(spec.blocks)[-1], spec.grid).ravel()
      x = encoded
      recovery = layer._recovery
      if spec.blocks[0].hidden_size != spec.blocks[-1].hidden_size:
        dense = recovery._projection
        x = x @ dense.kernel.numpy() + dense.bias.numpy()
      if len(spec.blocks) > 1:
        first = outputs[0]
        if spec.final_norm == 'tokens':
          first = numpy_reference.layer_norm(first, recovery._first_norm)
        x = np.concatenate([x[:skip], x[skip:][owners]]) + first
      for one in recovery._recovery_layers:
        x = numpy_reference.transformer_layer(x, x, one)
      if recovery._recovery_layers:
        x = numpy_reference.layer_norm(x, recovery._norm)
      shape = spec.grid
    else:
      number, = (number for number, block in enumerate(spec.blocks)
                 if block.patch_shape == tuple(
                     -(-side // 2 ** (level - 2)) for side in spec.grid))
      shape, x = spec.blocks[number].patch_shape, encoded
      if number < len(spec.blocks) - 1:
        x = numpy_reference.layer_norm(
            outputs[number], layer._level_norms[str(level)])
    found[str(level)] = x[skip:].reshape(*shape, -1)
  return found


@pytest.mark.parametrize('layout, levels, settings', [
    ('B1-1-1', [2], {}),
    pytest.param('B2', [2], dict(pooler='gap'),
                 marks=pytest.mark.long),
    ('B1-1(h128, a2)', [2], dict(pooler='none', num_registers=2)),
    ('B1-1(s3)', [2], dict(class_token_position=False, final_norm='none')),
    ('B1-1-1', [2, 3], dict(pool_axes='grid', num_registers=3)),
    ('B1-1(s4)-1(s4)', [2, 3, 4], dict(
        pool_axes='grid', distillation_token=True)),
    pytest.param('B1-1(s4)-1', [3], dict(pool_axes='grid', pooling='max'),
                 marks=pytest.mark.long),
], ids=str)
def test_agrees_with_numpy(layout, levels, settings):
  backbone = build(
      layout, maps=dict(levels=levels, recovery_layers=1), **settings)
  images = models.random_images(2, SIZE)
  found = backbone(images)
  for index, image in enumerate(images.numpy().astype(np.float64)):
    expected = expected_maps(image, backbone, settings)
    assert set(expected) == set(map(str, levels))
    for level, one in expected.items():
      assert found[level].shape[1:] == one.shape
      tolerances.assert_close(
          found[level][index], one, depth=20, length=256, message=level)


@pytest.mark.slow
def test_a_pyramid_is_of_the_recovered_map():
  plain = build(maps=dict(levels=[2], recovery_layers=1))
  pyramid = build(maps=PYRAMID)
  layer = pyramid.get_layer('feature_maps')
  images = models.random_images(2, SIZE)
  for variable, value in zip(
      [*pyramid.get_layer('encoder').variables, *layer._recovery.variables],
      [*plain.get_layer('encoder').variables,
       *plain.get_layer('feature_maps').variables], strict=True):
    variable.assign(value)
  expected = layer._pyramid(plain(images)['2'])
  maps = pyramid(images)
  assert list(pyramid.output_specs) == ['1', '2', '3']
  for level, one in expected.items():
    np.testing.assert_array_equal(maps[level], one)


@pytest.mark.long
def test_one_block_without_layers_is_model_gardens_map(monkeypatch, tmp_path):
  monkeypatch.setattr(
      vit, 'VIT_SPECS', {**vit.VIT_SPECS, 'vit-nano4': specs.PRESETS[
          'vit-nano4']})
  garden = factory.build_backbone(
      tf_keras.layers.InputSpec(shape=[None, *SIZE, 3]),
      garden_backbones.Backbone(
          type='vit', vit=garden_backbones.VisionTransformer(
              model_name='vit-nano4', output_2d_feature_maps=True)), None)
  models.randomize(garden)
  ours = build(layout=None, maps=dict(levels=[2], recovery_layers=0))
  path = tf.train.Checkpoint(garden).write(str(tmp_path / 'garden'))
  status = tf.train.Checkpoint(ours).read(path)
  status.assert_existing_objects_matched().assert_consumed()
  images = models.random_images(2, SIZE)
  theirs, found = garden(images), ours(images)
  assert set(found) == set(theirs) == {'2', 'pre_logits'}
  assert ours.output_specs == garden.output_specs
  for key, value in theirs.items():
    tolerances.assert_close(found[key], value, depth=12, length=256)


@pytest.mark.slow
@pytest.mark.parametrize('pooler', [
    'gap', pytest.param('map', marks=pytest.mark.long)])
def test_what_a_classifier_reads_stays_as_it_is(pooler):
  maps = build(maps=dict(levels=[2]), pooler=pooler)
  plain = build(pooler=pooler)
  assert not any(isinstance(layer, feature_maps.FeatureMaps)
                 for layer in plain.layers)
  # By name, since layers are in another order.
  values = {variable.name.split('/', 1)[1]: variable
            for variable in maps.variables
            if not variable.name.startswith('feature_maps/')}
  plain.get_layer('encoder').set_weights(
      maps.get_layer('encoder').get_weights())
  for variable in plain.variables:
    if not variable.name.startswith('encoder/'):
      variable.assign(values[variable.name.split('/', 1)[1]])
  images = models.random_images(2, SIZE)
  assert list(plain(images)) == ['pre_logits']
  assert max(maps(images)) == 'pre_logits'
  np.testing.assert_array_equal(
      maps(images)['pre_logits'], plain(images)['pre_logits'])


@pytest.mark.slow
def test_nothing_is_computed_where_nobody_asks():
  def operations(**settings):
    backbone = models.build_backbone(SIZE, layout='B1-1', **settings)
    graph = tf.function(backbone).get_concrete_function(
        tf.TensorSpec([2, *SIZE, 3])).graph
    return [operation.type for operation in graph.get_operations()]

  unasked = operations(feature_maps=dict(
      source='pyramid', recovery_layers=3, pyramid_filters=8))
  assert unasked == operations()
  # Of the last layer, the class token alone.
  assert unasked != operations(fast_path=dict(class_token_only=False))
  assert len(operations(feature_maps=dict(levels=[2]))) > len(unasked)


@pytest.mark.long
@pytest.mark.parametrize('maps', [
    dict(levels=[2], recovery_layers=1), dict(levels=[3]), PYRAMID], ids=str)
@pytest.mark.parametrize('layout', ['B1-1(s4, h128, a2)-1(s4)', 'B1-1(s4)-1'])
def test_parameters_are_those_that_are_counted(maps, layout):
  backbone = models.build_backbone(
      SIZE, layout=layout, pool_axes='grid', feature_maps=maps,
      layer_scale_init_value=0.1)
  assert backbone.count_params() == costs.count_parameters(backbone.spec)


@pytest.mark.long
def test_every_variable_of_a_dense_model_gets_a_gradient():
  backbone = build('B1-1(s4, h128, a2)-1(s4)', pool_axes='grid', pooler='none',
                   maps=dict(levels=[2, 3], recovery_layers=1))
  with tf.GradientTape() as tape:
    maps = backbone(models.random_images(1, SIZE), training=True)
    loss = sum(tf.reduce_sum(tf.sin(one)) for one in maps.values())
  assert set(maps) == {'2', '3'}
  for variable, gradient in zip(backbone.trainable_variables, tape.gradient(
      loss, backbone.trainable_variables)):
    assert gradient is not None, variable.name


@pytest.mark.long
def test_decoders_of_model_garden_read_them():
  backbone = build(size=(32, 32), pooler='none', maps=dict(
      levels=[2, 3, 4], source='pyramid', pyramid_filters=6))
  decoder = fpn.FPN(backbone.output_specs, min_level=2, max_level=5,
                    num_filters=4)
  decoded = decoder(backbone(models.random_images(1, (32, 32))))
  assert {level: one.shape[1:] for level, one in decoded.items()} == {
      '2': (8, 8, 4), '3': (4, 4, 4), '4': (2, 2, 4), '5': (1, 1, 4)}


def test_a_level_without_a_block_is_refused():
  with pytest.raises(ValueError, match='sequence leave no grid. It has 2'):
    models.build_backbone(SIZE, layout='B1-1', feature_maps=dict(levels=[3]))


# The strides of the paper's layouts, and whether the last block's tokens are
# squares of 32 px where pools are on the grid.
PAPER = {
    'B12': ([], False),
    'B6-6': ([2], False),
    'B4-4-4': ([2, 2], True),
    'B6-6(s4)': ([4], True),
    'B6-6-4': ([2, 2], True),
    'B6(h1024)-6(h1024)': ([2], False),
    'B6(m4096)-6(m4096)': ([2], False),
    'B6-6-4(m1536)': ([2, 2], True),
    'B6-6-2(m1536)': ([2, 2], True),
    'B6(m4096)-6-2(m1536)': ([2, 2], True),
}


def patch_owners(strides, side, pool_axes):
  """The token of the last block that each patch of side x side went into."""
  row, column = np.divmod(np.arange(side * side), side)
  if pool_axes == 'sequence':
    # Windows begin at multiples of the stride, so that ends do not matter.
    return np.arange(side * side) // math.prod(strides)
  # Columns by two, then rows by two; both with a stride of 4.
  column_step = 2 if strides else 1
  row_step = 2 if sum(strides) == 4 else 1
  return (row // row_step) * -(-side // column_step) + column // column_step


@pytest.mark.long
@pytest.mark.parametrize('side', [14, 24], ids=['224 px', '384 px'])
@pytest.mark.parametrize('pool_axes', ['sequence', 'grid'])
@pytest.mark.parametrize('layout', PAPER)
def test_maps_of_the_layouts_of_the_paper(layout, pool_axes, side):
  strides, has_grid = PAPER[layout]
  levels = [4, 5] if has_grid and pool_axes == 'grid' else [4]
  config = backbones.FunnelViT(
      layout=layout, pool_axes=pool_axes, feature_maps=backbones.FeatureMaps(
          levels=levels, recovery_layers=0))
  spec = specs.resolve(config, (16 * side, 16 * side))
  layer = feature_maps.FeatureMaps(spec, funnel_vit.encoder_options(config))
  tokens = [np.random.default_rng(index).normal(size=(
      2, block.num_tokens, block.hidden_size)).astype(np.float32)
            for index, block in enumerate(spec.blocks)]
  encoded = np.random.default_rng(9).normal(
      size=tokens[-1].shape).astype(np.float32)
  layer(encoded, tokens)
  models.randomize(layer)
  maps = layer(encoded, tokens)
  assert list(maps) == [str(level) for level in levels]
  expected = encoded[:, 1:][:, patch_owners(strides, side, pool_axes)]
  if strides:
    expected = expected + numpy_reference.layer_norm(
        tokens[0][:, 1:].astype(np.float64), layer._recovery._first_norm)
  tolerances.assert_close(
      maps['4'], expected.reshape(2, side, side, -1), depth=2, length=1_024)
  if '5' in levels:
    np.testing.assert_array_equal(
        maps['5'], encoded[:, 1:].reshape(2, side // 2, side // 2, -1))


@pytest.mark.long
def test_the_backbone_rebuilds_from_its_config():
  backbone = build('B1-1(s4)', pool_axes='grid', maps=dict(levels=[2, 3]))
  copy = type(backbone).from_config(backbone.get_config())
  assert copy.get_config() == backbone.get_config()
  copy.set_weights(backbone.get_weights())
  images = models.random_images(1, SIZE)
  for key, value in backbone(images).items():
    np.testing.assert_array_equal(copy(images)[key], value)


def test_rebuilds_from_its_config():
  layer = build(maps=PYRAMID).get_layer('feature_maps')
  copy = tf_keras.layers.deserialize(tf_keras.layers.serialize(layer))
  assert copy.get_config() == layer.get_config()
