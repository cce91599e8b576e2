"""Tests of new models for Keras's `fit`."""

import classifiers
import models
import numpy as np
import pytest
import short_runs
import tf_keras

import official_ext
from official_ext.checkpoints import restore
from official_ext.configs import backbones
from official_ext.modeling import keras_config
from official_ext.modeling import specs


def test_sizes_are_as_asked_for():
  model = official_ext.create(
      'vit-ti16', 'B1-1', num_classes=np.int64(3),
      image_size=(np.int64(32), 48), pooling='max',
      transformer={'mlp_dim': np.int64(24)})
  assert model.input_shape == (None, 32, 48, 3)
  assert model.output_shape == (None, 3)
  spec = model.backbone.spec
  assert spec == specs.resolve(backbones.FunnelViT(
      model_name='vit-ti16', layout='B1-1', pooling='max',
      transformer=backbones.FunnelTransformer(mlp_dim=24)), (32, 48))


@pytest.mark.slow
@pytest.mark.parametrize('weights, ema, message', [
    (None, False, 'ema=False is of weights, and none are given'),
    ('trained_dir', True, 'holds no moving averages'),
    ('export_dir', True, 'ema=True is for the folder of a training'),
    ('export_dir', False, 'ema=False is for the folder of a training')])
def test_averages_that_are_not_there(request, weights, ema, message):
  path = weights and request.getfixturevalue(weights)
  with pytest.raises(ValueError, match=message):
    official_ext.create('vit-nano4', 'B1-1', weights=path, ema=ema)


@pytest.mark.long
def test_averages_are_those_that_load_takes(digits_dir, tmp_path):
  short_runs.train(digits_dir, tmp_path, 'train_and_eval', **{
      'trainer.train_steps': 4, 'trainer.validation_interval': 4,
      'trainer.best_checkpoint_export_subdir': 'best',
      'trainer.best_checkpoint_eval_metric': 'accuracy',
      'trainer.optimizer_config.ema.average_decay': 0.5,
      'trainer.export.at_end': False})
  found = {}
  for ema in (None, True, False):
    for weights, checkpoint in ((tmp_path, 'latest'), (
        tmp_path / 'best', 'best')):
      expected = classifiers.arrays(
          official_ext.load(tmp_path, checkpoint, ema).model)
      created = classifiers.arrays(official_ext.create(
          'vit-nano4', 'B1-1', weights=weights, ema=ema))
      assert set(created) == set(expected)
      for name, array in created.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
      found[ema, checkpoint] = created['head/kernel']
  assert np.any(found[True, 'latest'] != found[False, 'latest'])
  assert np.array_equal(found[None, 'best'], found[True, 'latest'])


@pytest.mark.slow
def test_weights_are_those_of_a_training(funnel, trained_dir, export_dir):
  images = models.random_images(2, funnel.model.input_shape[1:3])
  expected = funnel.model(images, training=False).numpy()
  for weights in (trained_dir, funnel.path, export_dir):
    model = official_ext.create('vit-nano4', 'B1-1', weights=weights)
    np.testing.assert_array_equal(model(images, training=False), expected)
  # Another layout, another head; the rest is the same.
  other = official_ext.create(
      'vit-nano4', 'B2', weights=trained_dir, num_classes=3, image_size=16)
  ours, theirs = (
      {name: array for name, array in classifiers.arrays(model).items()
       if not name.startswith('head/') and name != 'position_embedding'}
      for model in (other, funnel.model))
  assert ours.keys() == theirs.keys()
  for name, array in theirs.items():
    np.testing.assert_array_equal(ours[name], array, err_msg=name)
  assert other.output_shape == (None, 3)
  assert other.input_shape == (None, 16, 16, 3)


def test_warnings_name_the_arguments(caplog):
  def warnings():
    caplog.clear()
    official_ext.create(
        'vit-nano4', 'B1', image_size=8, pooling='max', crop_to_patches=True,
        fast_path={'float32_matmuls': True})
    return [record.getMessage() for record in caplog.records]

  of_bfloat16 = ('fast_path.float32_matmuls is true, but has no effect: '
                 "Keras's global policy is not mixed_bfloat16.")
  found = warnings()
  assert sorted(found) == [
      'crop_to_patches is true, but has no effect: the patches fill '
      'image_size, so nothing is cropped.',
      of_bfloat16,
      "pooling is 'max', but has no effect: nothing is pooled: layout has one "
      'block.']
  with keras_config.policy('mixed_bfloat16'):
    assert set(found) - set(warnings()) == {of_bfloat16}


@pytest.mark.long
def test_sizes_that_nobody_asks_for():
  model = official_ext.create('vit-ti16')
  assert (model.input_shape, model.output_shape) == (
      (None, 224, 224, 3), (None, 1000))
  assert model.backbone.spec.layout_with_tokens == 'B12(197)'


@pytest.mark.long
def test_it_is_fitted_saved_and_read(tmp_path):
  model = official_ext.create(
      'vit-nano4', 'B1-1', num_classes=2, image_size=8)
  labels = np.arange(32) % 2
  images = models.random_images(32, (8, 8)).numpy() + labels[
      :, np.newaxis, np.newaxis, np.newaxis]
  model.compile(
      tf_keras.optimizers.Adam(1e-2),
      tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
      metrics=['accuracy'])
  losses = model.fit(images, labels, epochs=6, verbose=0).history['loss']
  assert losses[-1] < losses[0] / 2
  expected = model.evaluate(images, labels, verbose=0)
  model.save(tmp_path / 'model.keras')
  loaded = tf_keras.models.load_model(tmp_path / 'model.keras')
  assert loaded.evaluate(images, labels, verbose=0) == expected


@pytest.mark.slow
def test_what_does_not_fit_is_named(trained_dir):
  for arguments, settings, message in (
      (['vit-b15'], {}, 'must be one of vit-ti16'),
      (['vit-b16', 'B4-4-'], {}, 'layout'),
      (['vit-b16'], {'poolling': 'max'}, "'poolling', but must be one of"),
      (['vit-b16'], {'pooling': 'sum'}, "pooling is 'sum', but must be one of"),
      (['vit-b16'], {'pooling': object()}, 'but must be a number, a text'),
      (['vit-b16'], {'transformer': {'mlp_dimm': 3}}, 'Did you mean transform'),
      (['vit-b16'], {'image_size': 225}, 'do not fill'),
      (['vit-b16'], {'image_size': 0}, 'a side in px, such as 224'),
      (['vit-b16'], {'image_size': (224,)}, 'a side in px, such as 224'),
      (['vit-b16'], {'num_classes': 0}, 'must be at least 1'),
      (['vit-b16'], {'num_classes': '3'}, 'must be a whole number'),
      (['vit-b16'], {'image_size': 8.0}, 'a side in px, such as 224'),
      (['vit-b16'], {'weights': b'runs'}, "weights is b'runs', but must be"),
      (['vit-b16'], {'weights': 'nowhere'}, 'there is no such folder'),
      (['vit-nano4', 'B3'], {'weights': trained_dir},
       'has 2 layers, and B3'),
      (['vit-nano4', 'B1-1'], {'weights': trained_dir, 'num_registers': 1},
       'num_registers=0'),
  ):
    with pytest.raises(ValueError) as raised:
      official_ext.create(*arguments, **settings)
    assert message in str(raised.value)
    for typed in ('--params_override', 'funnel_vit.layout'):
      assert typed not in str(raised.value)
  with pytest.raises(restore.LoadError, match=(
      'does not fit vit-nano4.* Use the widths, heads, .*num_classes=N')):
    official_ext.create('vit-nano4', 'B1-1', weights=trained_dir,
                        transformer={'mlp_dim': 24})
