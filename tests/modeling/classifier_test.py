"""Keras saves, loads and copies our models, whatever their settings."""

import copy
import dataclasses
import json

import classifiers
import commands
import models
import numpy as np
from official.core import task_factory
from official.modeling import hyperparams
from official.vision.modeling import factory
import proofs
import pytest
import tensorflow as tf
import tf_keras

from official_ext.configs import backbones
from official_ext.modeling import classifier
from official_ext.modeling import keras_config

# Each field of the backbone with another value than its own, and what else it
# needs; all of these are tiny.
SETTINGS = {
    'model_name': {'model_name': 'vit-s16', 'hidden_size': 32, 'size': 32,
                   'transformer.num_heads': 2, 'transformer.mlp_dim': 16},
    'layout': {'layout': 'B1-1(s3, h32, m16, a2)'},
    'pooling': {'pooling': 'weighted'},
    'pool_axes': {'pool_axes': 'grid'},
    'pool_query_only': {'pool_query_only': False},
    'position_embedding': {'position_embedding': 'sin_cos'},
    'attention_bias': {'attention_bias': 'proportional'},
    'pooler': {'pooler': 'map'},
    'representation_size': {'representation_size': 8},
    'projection_size': {'projection_size': 8},
    'hidden_size': {'hidden_size': 32},
    'patch_size': {'patch_size': 8},
    'transformer.mlp_dim': {'transformer.mlp_dim': 24},
    'transformer.num_heads': {'transformer.num_heads': 2},
    'transformer.attention_dropout_rate': {
        'transformer.attention_dropout_rate': 0.1},
    'transformer.dropout_rate': {'transformer.dropout_rate': 0.1},
    'transformer.activation': {'transformer.activation': 'gelu_quick'},
    'transformer.norm_epsilon': {'transformer.norm_epsilon': 1e-3},
    'init_stochastic_depth_rate': {'init_stochastic_depth_rate': 0.1},
    'layer_scale_init_value': {'layer_scale_init_value': 0.1},
    'original_init': {'original_init': False},
    'fast_path.fused_layers': {'fast_path.fused_layers': False},
    'fast_path.class_token_only': {'fast_path.class_token_only': False},
    'fast_path.float32_matmuls': {'fast_path.float32_matmuls': True},
    'fast_path.attention': {'fast_path.attention': 'plain'},
    'crop_to_patches': {'crop_to_patches': True, 'size': 18},
    'gradient_checkpointing': {'gradient_checkpointing': True},
    'class_token': {'class_token': True, 'pooler': 'gap'},
    'class_token_position': {
        'class_token_position': False, 'class_token': True},
    'distillation_token': {
        'distillation_token': True, 'pooler': 'token_and_distillation'},
    'num_registers': {'num_registers': 2},
    'patch_bias': {'patch_bias': False},
    'norm_before_layers': {'norm_before_layers': True},
    'final_norm': {'final_norm': 'pooled', 'pooler': 'token_and_mean'},
}
# As many of them at once as go together.
TOGETHER = (
    'layout', 'pooling', 'attention_bias', 'pooler', 'class_token_position',
    'num_registers', 'patch_bias', 'norm_before_layers',
    'transformer.activation', 'layer_scale_init_value',
    'fast_path.fused_layers', 'projection_size')


def fields(config, prefix=''):
  """The names of all settings, those of parts with a dot."""
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if isinstance(value, hyperparams.Config):
      yield from fields(value, f'{prefix}{field.name}.')
    else:
      yield f'{prefix}{field.name}'


def outputs(model, images):
  answer = model(images, training=False)
  return (answer if isinstance(answer, tf.Tensor)
          else answer['pre_logits']).numpy()


def check_round_trips(folder, *models_to_save):
  """Models come back, and compute the same bit by bit."""
  for one in models_to_save:
    images = models.random_images(2, one.input_shape[1:3])
    expected = outputs(one, images)
    copied = tf_keras.models.clone_model(one)
    # New weights, and none shared.
    assert not {id(variable) for variable in copied.variables} & {
        id(variable) for variable in one.variables}
    assert not np.array_equal(outputs(copied, images), expected)
    copied.set_weights(one.get_weights())
    read = [copied]
    for suffix in ('keras', 'h5'):
      path = str(folder / f'{one.name}.{suffix}')
      one.save(path)
      read.append(tf_keras.models.load_model(path))
    for other in read:
      assert type(other) is type(one)
      np.testing.assert_array_equal(outputs(other, images), expected)
      assert other.get_config() == one.get_config()
      assert [variable.shape for variable in other.trainable_variables] == [
          variable.shape for variable in one.trainable_variables]


def test_every_setting_is_tried():
  # A classifier has no maps of features.
  assert list(SETTINGS) == [
      name for name in fields(backbones.FunnelViT())
      if not name.startswith('feature_maps.')]
  for name, settings in SETTINGS.items():
    value = backbones.FunnelViT()
    for part in name.split('.'):
      value = getattr(value, part)
    assert settings[name] != value


@pytest.mark.slow
def test_models_come_back(tmp_path):
  settings = {}
  for name in TOGETHER:
    settings |= SETTINGS[name]
  model, _ = classifiers.build(1, **settings)
  check_round_trips(tmp_path, model)


@pytest.mark.long
@pytest.mark.parametrize('settings', [
    *proofs.choose(list(SETTINGS.values())[::3], SETTINGS.values()),
    {'pooling': 'max'}, {'pooling': 'conv', 'pool_axes': 'grid'}], ids=str)
def test_models_of_every_setting_come_back(tmp_path, settings):
  model, _ = classifiers.build(1, **settings)
  check_round_trips(tmp_path, model)


@pytest.mark.long
def test_backbones_come_back(tmp_path):
  model, _ = classifiers.build(1)
  check_round_trips(tmp_path, model.backbone)
  # Parts of them, as one makes them for features.
  images = models.random_images(2)
  tokens = model.backbone.get_layer('encoder').output
  for part in (tf_keras.Model(model.input, model.layers[-2].output),
               tf_keras.Model(model.backbone.input, tokens)):
    for suffix in ('keras', 'h5'):
      part.save(tmp_path / f'part.{suffix}')
      loaded = tf_keras.models.load_model(tmp_path / f'part.{suffix}')
      np.testing.assert_array_equal(
          outputs(loaded, images), outputs(part, images))


@pytest.mark.long
def test_what_trains_and_how_it_computes_comes_back(tmp_path):
  with keras_config.policy('mixed_bfloat16'):
    model, _ = classifiers.build(1)
  encoder = model.backbone.get_layer('encoder')
  encoder.trainable = False
  model.compile('adam', tf_keras.losses.SparseCategoricalCrossentropy(True))
  images, labels = models.random_images(4), np.arange(4)
  model.fit(images, labels, verbose=0)
  expected = outputs(model, images)
  assert expected.dtype == 'bfloat16'
  for suffix in ('keras', 'h5'):
    model.save(tmp_path / f'model.{suffix}')
    loaded = tf_keras.models.load_model(tmp_path / f'model.{suffix}')
    np.testing.assert_array_equal(
        outputs(loaded, images).astype('f'), expected.astype('f'))
    # Patches, class token, head.
    assert len(loaded.trainable_variables) == 5
    assert loaded.optimizer.iterations == 1
    for ours, theirs in zip(loaded.optimizer.variables,
                            model.optimizer.variables, strict=True):
      np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
  assert tf_keras.mixed_precision.global_policy().name == 'float32'


@pytest.mark.long
def test_json_saved_models_and_deep_copies(tmp_path):
  model, _ = classifiers.build(1, size=8)
  images = models.random_images(1, (8, 8))
  text = model.to_json()
  assert json.loads(text)['class_name'].endswith('FunnelClassifier')
  built = tf_keras.models.model_from_json(text)
  built.set_weights(model.get_weights())
  model.save(tmp_path / 'saved_model', save_format='tf')
  for other in (built, copy.deepcopy(model),
                tf_keras.models.load_model(tmp_path / 'saved_model')):
    np.testing.assert_array_equal(
        outputs(other, images), outputs(model, images))


@pytest.mark.long
def test_a_new_process_finds_the_classes(tmp_path, repository):
  model, _ = classifiers.build(1)
  images = models.random_images(1)
  np.save(tmp_path / 'images.npy', images)
  # A .keras file says where its classes are, an HDF5 file what they are called.
  for suffix, needed in (('keras', 'tf_keras'),
                         ('h5', 'official_ext.modeling.classifier')):
    path = tmp_path / f'model.{suffix}'
    model.save(path)
    result = commands.run_alone(
        '-c', f'import sys, numpy, tf_keras, {needed}; '
        f'model = tf_keras.models.load_model({str(path)!r}); '
        f'images = numpy.load({str(tmp_path / "images.npy")!r}); '
        f'numpy.save({str(tmp_path / "logits.npy")!r}, model(images))',
        cwd=repository)
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(
        np.load(tmp_path / 'logits.npy'), outputs(model, images))


@pytest.mark.slow
def test_it_is_model_gardens_with_the_same_keys(tmp_path):
  model, params = classifiers.build(1)
  assert isinstance(model, classifier.FunnelClassifier)
  prefix = tf.train.Checkpoint(model=model).write(str(tmp_path / 'weights'))
  gardens = factory.build_classification_model(
      tf_keras.layers.InputSpec(shape=[None, 16, 16, 3]), params.task.model)
  assert type(gardens) is not classifier.FunnelClassifier
  tf.train.Checkpoint(model=gardens).read(prefix).assert_consumed()
  images = models.random_images(2)
  np.testing.assert_array_equal(
      outputs(gardens, images), outputs(model, images))


@pytest.mark.slow
def test_weight_decay_and_frozen_backbones_are_as_configured(tmp_path):
  params = classifiers.load_params()
  task = params.task.replace(losses={'l2_weight_decay': 0.2},
                             freeze_backbone=True)
  model = task_factory.get_task(task).build_model()
  kernels = [variable for variable in model.variables
             if 'kernel' in variable.name]
  loss = sum(0.1 * float(tf.reduce_sum(kernel ** 2)) for kernel in kernels)
  assert sum(map(float, model.losses)) == pytest.approx(loss, rel=1e-5)
  assert len(model.trainable_variables) == 2
  model.save(tmp_path / 'model.keras')
  loaded = tf_keras.models.load_model(tmp_path / 'model.keras')
  assert sum(map(float, loaded.losses)) == pytest.approx(loss, rel=1e-5)
  assert len(loaded.trainable_variables) == 2
