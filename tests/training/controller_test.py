"""Intervals that are counted from step 0, however often a run begins again."""

import types

import pytest
import tensorflow as tf

from official_ext.training import controller as controller_lib


class Stepper:
  """Counts the steps that a controller makes it run."""

  def __init__(self, step):
    self.global_step = tf.Variable(step, dtype=tf.int64)
    self.loops, self.evaluated = [], []

  def train(self, num_steps):
    self.global_step.assign_add(tf.cast(num_steps, tf.int64))
    self.loops.append(int(self.global_step.numpy()))

  def evaluate(self, _):
    self.evaluated.append(int(self.global_step.numpy()))


def run(folder, step, is_evaluated=lambda step: True, **intervals):
  """Trains from a step to 20; returns what stepped, and the manager."""
  stepper = Stepper(step)
  checkpoint = tf.train.Checkpoint(step=stepper.global_step)
  manager = controller_lib.CheckpointManager(
      checkpoint, directory=str(folder), max_to_keep=None,
      step_counter=stepper.global_step,
      checkpoint_interval=intervals.get('checkpoint', 5))
  controller = controller_lib.Controller(
      trainer=types.SimpleNamespace(train=stepper.train),
      evaluator=types.SimpleNamespace(evaluate=stepper.evaluate),
      global_step=stepper.global_step, steps_per_loop=intervals.get('loop', 4),
      checkpoint_manager=manager, is_evaluated=is_evaluated)
  controller.train_and_evaluate(20, eval_interval=intervals.get('evaluate', 8))
  return stepper, [int(path.rsplit('-')[-1]) for path in manager.checkpoints]


@pytest.fixture(autouse=True)
def any_trainer(monkeypatch):
  # Orbit asserts that what it drives is of its own classes.
  monkeypatch.setattr(
      controller_lib.orbit.runner, 'AbstractTrainer', types.SimpleNamespace)
  monkeypatch.setattr(
      controller_lib.orbit.runner, 'AbstractEvaluator', types.SimpleNamespace)


def test_from_the_beginning(tmp_path):
  stepper, saved = run(tmp_path, 0)
  # At the multiples of 4, and of 5 where a checkpoint is due.
  assert stepper.loops == [4, 5, 8, 10, 12, 15, 16, 20]
  assert stepper.evaluated == [8, 16, 20]
  assert saved == [5, 10, 15, 20]


def test_from_between_two_intervals(tmp_path):
  stepper, saved = run(tmp_path, 7)
  assert stepper.loops == [8, 10, 12, 15, 16, 20]
  assert stepper.evaluated == [8, 16, 20]
  # Not 8: step 7 was saved, be it by another worker.
  assert saved == [10, 15, 20]


def test_a_resumed_run_saves_where_an_undisturbed_one_does(tmp_path):
  manager = controller_lib.CheckpointManager(
      tf.train.Checkpoint(), directory=str(tmp_path), max_to_keep=None,
      step_counter=tf.Variable(11, dtype=tf.int64), checkpoint_interval=5)
  assert manager.save(11)
  _, saved = run(tmp_path, 11)
  assert saved == [11, 15, 20]


@pytest.mark.parametrize('is_evaluated, expected', [
    (True, [16, 20]), (False, [8, 16, 20])])
def test_an_evaluation_that_is_not_on_record_is_made_up_for(
    tmp_path, is_evaluated, expected):
  stepper, _ = run(tmp_path, 8, lambda step: is_evaluated)
  assert stepper.evaluated == expected


def test_a_checkpoint_is_written_before_the_last_evaluation(tmp_path):
  seen = []

  class Watched(Stepper):
    def evaluate(self, _):
      seen.append(tf.train.latest_checkpoint(tmp_path))

  stepper = Watched(0)
  manager = controller_lib.CheckpointManager(
      tf.train.Checkpoint(step=stepper.global_step), directory=str(tmp_path),
      max_to_keep=None, step_counter=stepper.global_step,
      checkpoint_interval=100)
  controller_lib.Controller(
      trainer=types.SimpleNamespace(train=stepper.train),
      evaluator=types.SimpleNamespace(evaluate=stepper.evaluate),
      global_step=stepper.global_step, steps_per_loop=4,
      checkpoint_manager=manager).train_and_evaluate(8, eval_interval=4)
  assert seen == [None, f'{tmp_path}/ckpt-8']


def test_the_last_step_is_saved_once(tmp_path):
  step = tf.Variable(4, dtype=tf.int64)
  manager = controller_lib.CheckpointManager(
      tf.train.Checkpoint(step=step), directory=str(tmp_path),
      max_to_keep=None, step_counter=step, checkpoint_interval=4)
  first = manager.save(4)
  (tmp_path / 'ckpt-4.index').rename(tmp_path / 'kept')
  assert manager.save(4, check_interval=False) == first
  assert not (tmp_path / 'ckpt-4.index').exists()


@pytest.mark.parametrize('is_last', [True, False])
def test_what_an_asynchronous_save_runs_into_is_raised(tmp_path, is_last):
  step = tf.Variable(1, dtype=tf.int64)
  manager = controller_lib.CheckpointManager(
      tf.train.Checkpoint(step=step), directory=str(tmp_path / 'run'),
      max_to_keep=None, step_counter=step, checkpoint_interval=1)
  options = tf.train.CheckpointOptions(
      experimental_enable_async_checkpoint=True)
  manager.save(1, options=options)
  manager.sync()
  assert manager.latest_checkpoint == f'{tmp_path}/run/ckpt-1'
  # A file lies where the parts of the next one belong.
  (tmp_path / 'run/ckpt-2_temp').write_text('')
  step.assign(2)
  manager.save(2, options=options)
  step.assign(3)
  with pytest.raises(tf.errors.OpError, match='ckpt-2_temp'):
    if is_last:
      manager.sync()
    else:
      manager.save(3, options=options)
  assert manager.latest_checkpoint == f'{tmp_path}/run/ckpt-1'
