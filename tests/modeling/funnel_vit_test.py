"""Tests of the backbone: parity with Model Garden's ViT, XLA, precision."""

import models
import numpy as np
from official.vision.configs import backbones as garden_backbones
from official.vision.modeling.backbones import factory
from official.vision.modeling.backbones import vit
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.modeling import specs

GARDEN = garden_backbones.VisionTransformer


@pytest.fixture(autouse=True)
def _small_model_garden_vit(monkeypatch):
  # Model Garden takes the sizes of its presets alone; ours is quicker.
  nano = specs.PRESETS['vit-nano4']
  few_layers = {**nano, 'transformer': {**nano['transformer'], 'num_layers': 3}}
  for module, name in ((vit, 'VIT_SPECS'), (specs, 'PRESETS')):
    monkeypatch.setattr(
        module, name, {**getattr(module, name), 'vit-nano4': few_layers})


def build_garden_vit(image_size=(16, 16), **settings):
  """Model Garden's own ViT, built by its own factory."""
  settings.setdefault('model_name', 'vit-nano4')
  return factory.build_backbone(
      input_specs=tf_keras.layers.InputSpec(shape=[None, *image_size, 3]),
      backbone_config=garden_backbones.Backbone(
          type='vit', vit=GARDEN(**settings)),
      norm_activation_config=None)


def build(layout, image_size=(16, 16), **settings):
  return models.build_backbone(image_size, layout=layout, **settings)


def copy_through_checkpoint(source, target, folder):
  """Saves one model and restores it into the other, every variable matched."""
  path = tf.train.Checkpoint(backbone=source).write(str(folder / 'checkpoint'))
  status = tf.train.Checkpoint(backbone=target).read(path)
  status.assert_existing_objects_matched()
  status.assert_consumed()


@pytest.mark.slow
@pytest.mark.parametrize('layout', [
    # Through checkpoints of one block goes Model Garden's ViT below too.
    pytest.param('B3', marks=pytest.mark.long),
    pytest.param('B2-1', marks=pytest.mark.addons), 'B1-1-1'])
@pytest.mark.parametrize('settings', [
    {},
    pytest.param(dict(representation_size=32, layer_scale_init_value=0.1),
                 marks=pytest.mark.long),
    pytest.param(dict(pooler='gap'), marks=pytest.mark.long)])
def test_checkpoints_go_both_ways(layout, settings, tmp_path):
  garden = build_garden_vit(**settings)
  funnel = build(layout, **settings)
  models.randomize(garden, seed=1)
  models.randomize(funnel, seed=2)
  copy_through_checkpoint(garden, funnel, tmp_path)
  for theirs, ours in zip(garden.variables, funnel.variables):
    np.testing.assert_array_equal(theirs, ours)
  models.randomize(garden, seed=3)
  copy_through_checkpoint(funnel, garden, tmp_path)
  for theirs, ours in zip(garden.variables, funnel.variables):
    np.testing.assert_array_equal(theirs, ours)


def assert_one_block_is_model_gardens_vit(settings, image_size, folder):
  garden = build_garden_vit(image_size, **settings)
  funnel = models.build_backbone(image_size, **settings)
  models.randomize(garden)
  copy_through_checkpoint(garden, funnel, folder)
  images = models.random_images(2, image_size)
  theirs, ours = garden(images), funnel(images)
  assert theirs.keys() == ours.keys()
  block, = funnel.spec.blocks
  for key, value in theirs.items():
    tolerances.assert_close(
        ours[key], value, depth=block.num_layers, length=block.mlp_dim)


@pytest.mark.long
@pytest.mark.numerics
@pytest.mark.addons
def test_one_block_is_model_gardens_vit(tmp_path):
  assert_one_block_is_model_gardens_vit(
      dict(model_name='vit-ti16'), (64, 96), tmp_path)


@pytest.mark.numerics
@pytest.mark.parametrize('settings', [
    pytest.param({}, marks=pytest.mark.addons),
    dict(representation_size=32), dict(pooler='gap'), dict(pooler='none'),
    dict(layer_scale_init_value=0.1), dict(original_init=False)])
def test_settings_are_those_of_model_gardens_vit(settings, tmp_path):
  assert_one_block_is_model_gardens_vit(
      dict(model_name='vit-nano4', **settings), (16, 24), tmp_path)


def test_initial_weights_have_model_gardens_spread():
  garden, funnel = build_garden_vit(), build('B3')
  for theirs, ours in zip(garden.variables, funnel.variables):
    assert theirs.shape == ours.shape
    np.testing.assert_allclose(
        np.std(ours), np.std(theirs), rtol=0.25, atol=1e-6, err_msg=ours.name)


@pytest.mark.parametrize('pooler, key, shape', [
    ('token', 'pre_logits', (2, 1, 1, 64)),
    ('gap', 'pre_logits', (2, 1, 1, 64)),
    ('none', 'encoded_tokens', (2, 4, 64)),
])
def test_endpoints(pooler, key, shape):
  backbone = build('B1-1-1', pooler=pooler)
  endpoints = backbone(models.random_images(2))
  # The head reads the key that sorts last, so there is only one.
  assert list(endpoints) == [key]
  assert endpoints[key].shape == shape
  assert backbone.output_specs[key][1:] == shape[1:]


@pytest.mark.slow
def test_layouts_differ_in_their_output(tmp_path):
  outputs = []
  # Two layers in the last block: the class token of a single one is the same
  # whether the other queries were pooled or not.
  for layout in ('B4', 'B2-2', 'B1-1-2'):
    funnel = build(layout)
    models.randomize(funnel)
    outputs.append(funnel(models.random_images(1))['pre_logits'])
  assert np.abs(outputs[0] - outputs[1]).max() > 1e-2
  assert np.abs(outputs[1] - outputs[2]).max() > 1e-2


def build_train_step(backbone):
  """One step of SGD on the mean of the features."""
  optimizer = tf_keras.optimizers.SGD(0.5)
  optimizer.build(backbone.trainable_variables)

  def train_step(images):
    with tf.GradientTape() as tape:
      features = backbone(images, training=True)['pre_logits']
      loss = tf.reduce_mean(tf.square(tf.cast(features, tf.float32) - 1))
    variables = backbone.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    return loss

  return train_step


# make test compiles the step of the recipe, in tests/tasks/train_step_test.py.
@pytest.mark.long
@pytest.mark.parametrize('precision', ['float32', 'mixed_bfloat16'])
@pytest.mark.parametrize('pool_axes', ['sequence', 'grid'])
def test_the_train_step_compiles_and_learns(precision, pool_axes):
  tf_keras.mixed_precision.set_global_policy(precision)
  # 5 x 3 patches: short last windows on every axis.
  backbone = models.build_backbone(
      (20, 12), layout='B1-1', pool_axes=pool_axes,
      init_stochastic_depth_rate=0.1,
      transformer=dict(dropout_rate=0.1, attention_dropout_rate=0.1))
  assert {variable.dtype for variable in backbone.variables} == {tf.float32}
  train_step = tf.function(build_train_step(backbone), jit_compile=True)
  images = models.random_images(4, (20, 12))
  losses = [float(train_step(images)) for _ in range(10)]
  assert np.isfinite(losses).all()
  assert losses[-1] < 0.8 * losses[0]


def all_tensors(graph):
  """Every tensor of a graph and of the functions in it."""
  for operation in graph.get_operations():
    yield from operation.outputs
  for function in graph._functions.values():
    if hasattr(function, 'graph'):
      yield from all_tensors(function.graph)


@pytest.mark.parametrize('batch_size', [None, 4])
def test_no_shape_is_dynamic_but_the_batch(batch_size):
  backbone = models.build_backbone((20, 12), layout='B1-1-1')
  graph = tf.function(backbone).get_concrete_function(
      tf.TensorSpec([batch_size, 20, 12, 3])).graph
  checked = 0
  for tensor in all_tensors(graph):
    if tensor.dtype in (tf.resource, tf.variant):
      continue
    assert tensor.shape.rank is not None, tensor
    unknown = [axis for axis, side in enumerate(tensor.shape) if side is None]
    assert len(unknown) <= (0 if batch_size else 1), tensor
    checked += 1
  assert checked > 100


def test_bfloat16_is_close_to_float32(tmp_path):
  outputs = {}
  for precision in ('float32', 'mixed_bfloat16'):
    tf_keras.mixed_precision.set_global_policy(precision)
    backbone = models.build_backbone(layout='B1-1-1')
    models.randomize(backbone)
    outputs[precision] = backbone(models.random_images(4))['pre_logits']
  assert outputs['mixed_bfloat16'].dtype == tf.bfloat16
  difference = tf.cast(outputs['mixed_bfloat16'], tf.float32) - outputs[
      'float32']
  scale = tf.math.reduce_std(outputs['float32'])
  assert float(tf.math.reduce_std(difference) / scale) < 0.05


def test_images_that_patches_do_not_fill_are_refused():
  with pytest.raises(ValueError, match=(
      r'^the size of images is 17 x 21 px \(height x width\), which patches of '
      '4 px do not fill: 1 px at the bottom and 1 px at the right of every '
      'image would be lost. Choose 16 or 20 x 20 or 24, or set '
      'crop_to_patches=true')):
    build('B1-1', (17, 21))
  cropped = build('B1-1', (17, 21), crop_to_patches=True)
  assert cropped.spec.grid == (4, 5)


@pytest.mark.parametrize('settings', [
    {}, {'feature_maps': {'levels': [2]}}])
def test_images_of_any_size_are_refused(settings):
  with pytest.raises(ValueError, match=(
      r'^input_specs.shape is \[None, None, None, 3\], but a position '
      'embedding is for one size of the images. Give')):
    build('B1-1', (None, None), **settings)
