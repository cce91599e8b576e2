"""Tests of which weights are taken: newest, best, EMA, resized."""

import dataclasses
import os

import classifiers
import numpy as np
from official.core import task_factory
import pytest
import short_runs
import tensorflow as tf
import tf_keras

import official_ext
from official_ext.params import experiment
from official_ext.trained import trained_model


@pytest.fixture(name='ema_run', scope='module')
def _ema_run(digits_dir, tmp_path_factory):
  """A training with EMA and a best checkpoint, and its trainer."""
  model_dir = str(tmp_path_factory.mktemp('ema'))
  trainer = short_runs.train(
      digits_dir, model_dir, mode='train_and_eval', **{
          'trainer.optimizer_config.ema.average_decay': 0.9,
          'trainer.best_checkpoint_export_subdir': 'best',
          'trainer.best_checkpoint_eval_metric': 'validation_loss',
          'trainer.best_checkpoint_metric_comp': 'lower'})
  return model_dir, trainer


def validation_loss(trained):
  """As the evaluation computes it, with the loss of the task."""
  task = task_factory.get_task(trained.params.task)
  losses, count = 0.0, 0
  for images, (labels, weights) in task.build_inputs(
      trained.params.task.validation_data):
    logits = trained.model(images, training=False)
    losses += float(tf.reduce_sum(
        weights * tf_keras.losses.sparse_categorical_crossentropy(
            labels, logits, from_logits=True)))
    count += float(tf.reduce_sum(weights))
  return losses / count


@pytest.mark.slow
def test_a_normalisation_that_the_training_did_not_have(trained_dir):
  params = experiment.load_saved(trained_dir)
  train_data = params.task.train_data.replace(mean_rgb=[127.5] * 3)
  params = params.replace(task=params.task.replace(train_data=train_data))
  with pytest.raises(ValueError, match=(
      r'ckpt-10 was trained on images normalised otherwise: task.train_data.'
      r'mean_rgb is \[127.5, 127.5, 127.5\] here and \[123.67')):
    trained_model.load(params, trained_dir)


@pytest.mark.parametrize('checkpoint', [
    'latest', pytest.param('best', marks=pytest.mark.long)])
def test_a_new_model_begins_from_the_ema_as_well(ema_run, checkpoint):
  used = trained_model.find(ema_run[0], trained_model.Selection(checkpoint))
  model = official_ext.create(
      'vit-nano4', short_runs.LAYOUT, weights=used.checkpoint)
  expected = classifiers.arrays(used.model)
  for name, array in classifiers.arrays(model).items():
    np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize('checkpoint', [
    'latest', pytest.param('best', marks=pytest.mark.long)])
def test_the_ema_is_what_evaluation_used(ema_run, checkpoint):
  model_dir, trainer = ema_run
  params = experiment.load_saved(model_dir)

  def load(ema):
    return trained_model.load(
        params, model_dir, trained_model.Selection(checkpoint, ema))

  used = load(None)
  assert used.is_ema and used.step == 10
  assert validation_loss(used) == pytest.approx(
      trainer.validation_logs['validation_loss'], abs=2e-6)
  raw = load(False)
  assert not raw.is_ema
  for ema, expected in ((None, used), (True, used), (False, raw)):
    found = official_ext.load(model_dir, checkpoint, ema=ema).model
    for name, array in classifiers.arrays(found).items():
      np.testing.assert_array_equal(
          array, classifiers.arrays(expected.model)[name], err_msg=name)
  for variable, trained in zip(
      raw.model.trainable_variables, trainer.model.trainable_variables,
      strict=True):
    # Swapped back and forth by adding and subtracting.
    np.testing.assert_allclose(variable, trained, atol=1e-5)
  assert max(np.abs(mine - other).max() for mine, other in zip(
      raw.model.get_weights(), used.model.get_weights(), strict=True)) > 1e-4


@pytest.mark.parametrize('checkpoint', [
    'latest', pytest.param('best', marks=pytest.mark.long)])
def test_the_classes_are_named_without_the_data(
    ema_run, checkpoint, tmp_path, monkeypatch):
  model_dir, _ = ema_run
  params = experiment.load_saved(model_dir)
  # Other data lie here, under the very name.
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'class_names.txt').write_text('\n'.join('abcdefghij'))
  elsewhere = params.replace(task=params.task.replace(
      data_dir='.', train_data={'input_path': './train*'}))
  selection = trained_model.Selection(checkpoint)
  names = [str(digit) for digit in range(10)]
  found = trained_model.load(elsewhere, model_dir, selection)
  assert found.class_names == names
  assert found.data == {'class_names': names}
  # An earlier version left them there.
  assert dataclasses.replace(found, data={}).class_names == [*'abcdefghij']


def test_what_a_training_did_not_keep(trained_dir, ema_run):
  params = experiment.load_saved(trained_dir)
  with pytest.raises(ValueError, match='kept no moving averages'):
    trained_model.load(
        params, trained_dir, trained_model.Selection(ema=True))
  with pytest.raises(ValueError, match='kept no best checkpoint'):
    trained_model.load(params, trained_dir, trained_model.Selection('best'))
  with pytest.raises(ValueError, match='there is no checkpoint in .*/best yet'):
    trained_model.load(
        experiment.load_saved(ema_run[0]), trained_dir,
        trained_model.Selection('best'))
  with pytest.raises(ValueError, match='no such folder or checkpoint'):
    trained_model.load(params, None, trained_model.Selection('nowhere/ckpt-1'))


@pytest.mark.slow
def test_a_configuration_beside_a_checkpoint(trained_dir, tmp_path):
  moved = tmp_path / 'settings.yaml'
  moved.write_bytes(
      open(os.path.join(trained_dir, 'params.yaml'), 'rb').read())
  prefix = tf.train.latest_checkpoint(trained_dir)
  found = trained_model.find(
      None, trained_model.Selection(prefix), str(moved))
  assert (found.checkpoint, found.step, found.is_ema) == (
      prefix, 10, False)
  with pytest.raises(ValueError, match='there is no missing.yaml in '):
    trained_model.find(None, trained_model.Selection(prefix), 'missing.yaml')


@pytest.mark.slow
def test_images_of_another_size(trained_dir):
  small = trained_model.find(trained_dir)
  large = trained_model.find(
      trained_dir, trained_model.Selection(image_size=(24, 24)))
  assert list(large.params.task.model.input_size) == [24, 24, 3]
  with pytest.raises(ValueError, match='size is 25 x 24 px.*1 px at the b'):
    trained_model.find(
        trained_dir, trained_model.Selection(image_size=(25, 24)))
  # The experiment's own configuration is untouched.
  assert list(small.params.task.model.input_size) == [16, 16, 3]
  assert large.model(tf.zeros([2, 24, 24, 3])).shape == (2, 10)
  shapes = {}
  for mine, other in zip(small.model.variables, large.model.variables,
                         strict=True):
    if mine.shape != other.shape:
      shapes[mine.name] = (tuple(mine.shape), tuple(other.shape))
    else:
      np.testing.assert_array_equal(mine, other)
  (name, change), = shapes.items()
  assert 'pos_embedding' in name
  assert change[0][1] == 17 and change[1][1] == 37


@pytest.mark.slow
def test_in_float32_whatever_else_is_trained_here(trained_dir):
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  found = trained_model.find(trained_dir)
  assert found.model(tf.zeros([1, 16, 16, 3])).dtype == tf.float32
  assert tf_keras.mixed_precision.global_policy().name == 'mixed_bfloat16'
