"""Trainings into which a bad number gets: they stop, or go back and finish."""

import math
import re
import types
from unittest import mock

import damaged_checkpoints
import event_files
import models
import numpy as np
from official.common import distribute_utils
import pytest
import short_runs
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.tasks import image_classification
from official_ext.training import divergence
from official_ext.training import event_tags
from official_ext.training import recovery
from official_ext.training import runner
from official_ext.training import trainer as trainer_lib

RATE = 'trainer.optimizer_config.learning_rate'


def intervals(steps, **settings):
  return {'trainer.steps_per_loop': steps, 'trainer.checkpoint_interval': steps,
          'trainer.summary_interval': steps,
          'trainer.validation_interval': steps, **settings}


@pytest.fixture
def spoil(monkeypatch):
  """Makes images of training, or evaluation, NaN in some batches."""

  def spoil_batches(*batches, is_training=True):
    task = image_classification.ImageClassificationTask
    build = task.build_inputs

    def build_inputs(self, params, input_context=None):
      data = build(self, params, input_context)
      if params.is_training != is_training:
        return data

      def spoiled(index, batch):
        images, labels = batch
        is_bad = tf.reduce_any(index == tf.constant(batches, tf.int64))
        return tf.where(is_bad, tf.cast(math.nan, images.dtype), images), labels

      return data.enumerate(start=1).map(spoiled)

    monkeypatch.setattr(task, 'build_inputs', build_inputs)

  return spoil_batches


def saved_steps(folder):
  return sorted(int(re.search(r'\d+', path.name)[0])
                for path in folder.glob('ckpt-*.index'))


def all_finite(checkpoint):
  reader = tf.train.load_checkpoint(checkpoint)
  return all(np.isfinite(reader.get_tensor(name)).all()
             for name, dtype in reader.get_variable_to_dtype_map().items()
             if dtype.is_floating)


@pytest.mark.slow
def test_a_bad_batch_stops_the_training_at_its_step(
    digits_dir, tmp_path, spoil):
  spoil(7)
  with pytest.raises(errors.UserError, match=re.escape(
      'the training diverged: at step 7 the loss is nan, the gradient norm nan '
      'and the learning rate 0.000345; not finite are the gradients of all '
      f'40 variables. The last good checkpoint is {tmp_path}/ckpt-5. Lower '
      'trainer.optimizer_config.learning_rate.cosine.initial_learning_rate, '
      'lengthen the warm-up, or clip gradients, and add --allow_changes to go '
      'on from there; trainer.recovery_max_trials=3 goes back by itself, and '
      'skips these batches.') + '$'):
    short_runs.train(digits_dir, tmp_path, **intervals(5))
  assert saved_steps(tmp_path) == [5]
  assert all_finite(f'{tmp_path}/ckpt-5')


@pytest.mark.long
@pytest.mark.parametrize('last_good', [4, 9])
def test_an_update_that_is_far_too_large_is_not_saved(
    digits_dir, tmp_path, last_good):
  with pytest.raises(errors.UserError, match=(
      f'diverged: .*(step|to) {last_good + 1} .*The last good checkpoint is '
      f'.*ckpt-{last_good - 4}[.]|There is no good checkpoint to go back to '
      'yet')):
    short_runs.train(digits_dir, tmp_path, mode='train_and_eval', **intervals(
        5, **{f'{RATE}.type': 'stepwise',
              f'{RATE}.stepwise.boundaries': [last_good - 1],
              f'{RATE}.stepwise.values': [1e-3, 1000]}))
  assert saved_steps(tmp_path) == [5][:last_good // 5]


@pytest.mark.long
def test_with_recovery_it_finishes(digits_dir, tmp_path, spoil, capfd):
  # The first two after a checkpoint: it goes back to that, and to one before.
  spoil(9, 10)
  trainer = short_runs.train(digits_dir, tmp_path, 'train_and_eval', **{
      **intervals(2, **{'trainer.recovery_max_trials': 2}),
      'trainer.steps_per_loop': 1})
  assert int(trainer.global_step.numpy()) == 10
  assert (trainer.recovered.count, trainer.recovered.skipped_batches) == (2, 4)
  assert all_finite(f'{tmp_path}/ckpt-10')
  train = event_files.scalars(tmp_path / 'train')
  assert train[event_tags.RECOVERIES] == {
      **dict.fromkeys(range(1, 7), 0), **dict.fromkeys(range(7, 11), 2)}
  assert np.isfinite(list(train[event_tags.GRADIENT_NORM].values())).all()
  assert re.findall(
      r'step (\d)/10  went back to .*/(.*), which is recovery (\d) of 2: '
      'at step 9 the loss is nan, ', capfd.readouterr().out) == [
          ('8', 'ckpt-8', '1'), ('6', 'ckpt-6', '2')]
  # What was taken again is there once, as it was the second time.
  assert event_files.steps(tmp_path / 'train') == list(range(1, 11))
  assert event_files.steps(tmp_path / 'validation') == [2, 4, 6, 8, 10]
  assert saved_steps(tmp_path) == [2, 4, 6, 8, 10]
  for name, count in (('ckpt-8', 2), ('damaged-ckpt-8', 0)):
    assert tf.train.load_checkpoint(f'{tmp_path}/{name}').get_tensor(
        'recovery/count/.ATTRIBUTES/VARIABLE_VALUE') == count


@pytest.mark.long
def test_it_goes_back_only_so_often(digits_dir, tmp_path, spoil):
  settings = intervals(
      2, **{'trainer.recovery_max_trials': 1, 'trainer.train_steps': 4})
  spoil(3)
  short_runs.train(digits_dir, tmp_path, **settings)
  spoil(1)
  with pytest.raises(errors.UserError, match=(
      'It went back 1 times already .trainer.recovery_max_trials=1.. '
      'The last good checkpoint is .*/ckpt-4, whose very first step this '
      'was; before it there is .*/ckpt-2. Lower')):
    short_runs.train(
        digits_dir, tmp_path, **{**settings, 'trainer.train_steps': 6})


@pytest.fixture
def two_replicas(monkeypatch):
  """Makes every run mirrored over two logical CPU devices."""
  strategy = models.mirrored(2)
  monkeypatch.setattr(
      distribute_utils, 'get_distribution_strategy', lambda **_: strategy)


@pytest.mark.long
@pytest.mark.parametrize('precision', ['float16', 'bfloat16'])
def test_in_half_precision_on_two_replicas(
    digits_dir, tmp_path, spoil, two_replicas, precision):
  # Of the fourth step, on the first replica alone.
  spoil(7)
  settings = intervals(2, **{
      'runtime.mixed_precision_dtype': precision, 'trainer.train_steps': 6})
  if precision == 'float16':
    settings['runtime.loss_scale'] = 'dynamic'
  with pytest.raises(errors.UserError, match=(
      f'at step 4 the loss is nan, .*{tmp_path}/ckpt-2[.] Lower .*batches' +
      '(; runtime.mixed_precision_dtype=bfloat16 has .*)?[.]$')):
    short_runs.train(digits_dir, tmp_path, **settings)
  assert saved_steps(tmp_path) == [2]
  trainer = short_runs.train(digits_dir, tmp_path, **{
      **settings, 'trainer.recovery_max_trials': 1})
  assert trainer.recovered.count == 1
  assert saved_steps(tmp_path) == [2, 4, 6]
  assert all_finite(f'{tmp_path}/ckpt-6')


@pytest.mark.long
def test_a_variable_that_is_no_number(digits_dir, tmp_path, monkeypatch):
  begin = trainer_lib.Trainer.train_loop_begin

  def spoil_variable(trainer):
    begin(trainer)
    if int(trainer.global_step.numpy()) == 6 and not trainer.recovered.count:
      variable = trainer.model.trainable_variables[3]
      variable.assign(tf.fill(variable.shape, math.nan))

  monkeypatch.setattr(trainer_lib.Trainer, 'train_loop_begin', spoil_variable)
  with pytest.raises(errors.UserError, match='at step 7 the loss is nan'):
    short_runs.train(digits_dir, tmp_path / 'stopped', **intervals(3))
  assert saved_steps(tmp_path / 'stopped') == [3, 6]
  short_runs.train(digits_dir, tmp_path / 'recovered', **intervals(
      3, **{'trainer.recovery_max_trials': 1}))
  assert all_finite(f'{tmp_path}/recovered/ckpt-10')


@pytest.mark.long
def test_an_evaluation_that_is_not_finite_decides_on_nothing(
    digits_dir, tmp_path, spoil):
  spoil(1, is_training=False)
  with pytest.raises(errors.UserError, match=(
      'the evaluation at step 2 is not finite: validation_loss is nan')):
    short_runs.train(digits_dir, tmp_path, mode='train_and_eval', **intervals(
        2, **{'trainer.best_checkpoint_export_subdir': 'best',
              'trainer.best_checkpoint_eval_metric': 'accuracy'}))
  assert not list((tmp_path / 'best').glob('*'))


def test_before_the_first_checkpoint_nothing_is_gone_back_to(digits_dir):
  params = short_runs.parameters(
      digits_dir, **{'trainer.recovery_max_trials': 2})
  diverged = divergence.DivergenceError('at step 3 the loss is nan', 2, 1)
  assert recovery.message(params, diverged, [], 0) == (
      'the training diverged: at step 3 the loss is nan. There is no good '
      'checkpoint to go back to yet. Lower trainer.optimizer_config.'
      'learning_rate.cosine.initial_learning_rate, lengthen the warm-up, or '
      'clip gradients.')


def test_the_newest_checkpoint_until_a_step():
  paths = ['run/ckpt-10', 'run/ckpt-9', 'run/ckpt-100']
  assert recovery.newest_until(paths, 99) == 'run/ckpt-10'
  assert recovery.newest_until(paths, 9) == 'run/ckpt-9'
  assert recovery.newest_until(paths, 100) == 'run/ckpt-100'
  assert recovery.newest_until(paths, 8) is None


def test_it_goes_back_to_what_is_whole_whatever_is_noted(tmp_path):
  damaged_checkpoints.save(tmp_path, [9, 10, 100])
  (tmp_path / 'checkpoint').unlink()
  data = tmp_path / f'ckpt-100.{damaged_checkpoints.DATA}'
  data.write_bytes(data.read_bytes()[:-1])
  # As of a worker that has written nothing yet.
  of_worker = types.SimpleNamespace(
      checkpoint_manager=mock.Mock(checkpoints=[]), _history_dir=str(tmp_path))
  assert runner.Runner._checkpoints(of_worker) == [
      f'{tmp_path}/ckpt-10', f'{tmp_path}/ckpt-9']
