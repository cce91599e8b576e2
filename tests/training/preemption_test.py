"""A process that is told to end: the step is finished, a checkpoint written."""

import os
import signal
import subprocess
import sys
import threading
import time

import event_files
import metadata_server
import numpy as np
import pytest
import short_runs
import tensorflow as tf
import workers

from official_ext.training import preemption
from official_ext.training import session
from official_ext.training import throughput
from official_ext.training import trainer

TIMEOUT_SECONDS = 240


def alone():
  return preemption.Watch(lambda value: value)


def wait_for(condition, seconds=10):
  """Waits until a condition holds; fails if it does not."""
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end
    time.sleep(0.01)


def test_without_a_notice_nothing_happens():
  watch = alone()
  watch.check()
  assert watch.notice is None


@pytest.mark.parametrize('number, status', [
    (signal.SIGTERM, 143), (signal.SIGUSR1, 143), (signal.SIGINT, 130)])
def test_the_first_signal_is_a_notice(number, status, capfd):
  watch = alone()
  before = signal.getsignal(number)
  with preemption.signals(watch):
    os.kill(os.getpid(), number)
    wait_for(lambda: watch.notice)
  assert watch.notice == preemption.Notice(number.name, status)
  assert signal.getsignal(number) is before
  with pytest.raises(preemption.Interrupt):
    watch.check()
  assert f'{number.name}: the running step is finished' in (
      capfd.readouterr().err)


def test_the_second_signal_ends_a_process_that_is_busy():
  process = subprocess.Popen(
      [sys.executable, '-c', """
import ctypes
from official_ext.training import preemption
preemption._ONE_NOTICE_SECONDS = 0
with preemption.signals(preemption.Watch(lambda value: value)):
  print('ready', flush=True)
  while True: ctypes.CDLL(None).sleep(60)
"""], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
  with process:
    assert process.stdout.readline() == 'ready\n'
    process.send_signal(signal.SIGTERM)
    assert process.stderr.readline() == '\n'
    assert process.stderr.readline().startswith('SIGTERM: the running step')
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert process.stderr.read() == '\nSIGINT: ends at once\n'


def test_a_signal_that_is_sent_twice_is_one_notice(monkeypatch):
  ends = []
  monkeypatch.setattr(os, '_exit', ends.append)
  watch = alone()
  with preemption.signals(watch):
    # As `timeout` does: to the process and to its group.
    os.kill(os.getpid(), signal.SIGTERM)
    wait_for(lambda: watch.notice)
    os.kill(os.getpid(), signal.SIGTERM)
  assert not ends
  assert watch.notice == preemption.Notice('SIGTERM', 143)


def test_another_worker_was_told():
  watch = preemption.Watch(lambda value: value + 0.5)
  with pytest.raises(preemption.Interrupt):
    watch.check()
  assert watch.notice == preemption.Notice('the end of another worker', 143)


def test_the_notice_of_a_metadata_server(monkeypatch):
  monkeypatch.setattr(preemption, '_POLL_SECONDS', 0.01)
  watch = alone()
  answers = ['FALSE', None, 'TRUE']
  with metadata_server.stand_in(lambda: answers.pop(0)) as (address, asked), (
      preemption.metadata_server(watch, address)):
    wait_for(lambda: watch.notice)
  assert watch.notice == preemption.Notice(
      "Google Cloud's notice of preemption", 143)
  assert asked == [('/computeMetadata/v1/instance/preempted', 'Google')] * 3


def test_no_metadata_server_is_asked_elsewhere(monkeypatch, tmp_path):
  def fail(*_):
    raise AssertionError
  monkeypatch.setattr(preemption, '_poll', fail)
  monkeypatch.setattr(preemption, '_PRODUCT_NAME', tmp_path / 'missing')
  for address in (None, ''):
    with preemption.metadata_server(alone(), address):
      pass


def interrupted(monkeypatch, digits_dir, model_dir, method, call, **settings):
  """Trains; SIGTERM comes as the trainer's `method` is called so often."""
  original = getattr(trainer.Trainer, method)
  calls = []

  def told(self, *arguments, **keywords):
    calls.append(1)
    if len(calls) == call:
      os.kill(os.getpid(), signal.SIGTERM)
      wait_for(lambda: self._watch.notice)
    return original(self, *arguments, **keywords)

  with monkeypatch.context() as patch, pytest.raises(
      preemption.Preempted) as stopped:
    patch.setattr(trainer.Trainer, method, told)
    short_runs.train(digits_dir, model_dir, 'train_and_eval', **settings)
  return stopped.value


SETTINGS = {
    'trainer.train_steps': 6, 'trainer.steps_per_loop': 2,
    'trainer.summary_interval': 2, 'trainer.checkpoint_interval': 4,
    'trainer.validation_interval': 4, 'trainer.best_checkpoint_eval_metric': '',
    'trainer.best_checkpoint_export_subdir': ''}


def weights(checkpoint):
  """The variables of the model in a checkpoint, by name."""
  reader = tf.train.load_checkpoint(str(checkpoint))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name.startswith('model/')}


@pytest.mark.long
def test_in_a_loop_the_running_step_is_saved(
    digits_dir, tmp_path, monkeypatch):
  monkeypatch.setattr(
      throughput.Throughput, 'steps_until_update', lambda _: 1)
  # As the progress of the third step of the run is told, the first of a loop.
  stopped = interrupted(monkeypatch, digits_dir, tmp_path, '_learning_rate', 3,
                        **SETTINGS)
  assert stopped.exit_status == 143
  assert str(stopped) == (
      f'stopped by SIGTERM at step 3 of 6; {tmp_path}/ckpt-3 holds it. The '
      'same command goes on from there.')
  assert tf.train.latest_checkpoint(tmp_path) == f'{tmp_path}/ckpt-3'
  short_runs.train(digits_dir, tmp_path, 'train_and_eval', **SETTINGS)
  # As an undisturbed run.
  train = event_files.scalars(tmp_path / 'train')['training_loss']
  validation = event_files.scalars(tmp_path / 'validation')['validation_loss']
  assert sorted(train) == [2, 4, 6]
  assert sorted(validation) == [4, 6]
  assert [path.name for path in sorted(tmp_path.glob('*.index'))] == [
      'ckpt-3.index', 'ckpt-4.index', 'ckpt-6.index']


@pytest.mark.long
def test_in_an_evaluation_the_trained_weights_are_saved(
    digits_dir, tmp_path, monkeypatch):
  settings = SETTINGS | {
      'trainer.seed': 1, 'trainer.deterministic': True,
      'trainer.optimizer_config.ema.average_decay': 0.5,
      'trainer.optimizer_config.ema.trainable_weights_only': True}
  short_runs.train(
      digits_dir, tmp_path / 'whole', 'train_and_eval', **settings)
  # Of step 4 there is no checkpoint yet.
  settings |= {'trainer.checkpoint_interval': 6}
  interrupted(monkeypatch, digits_dir, tmp_path / 'run', 'eval_begin', 1,
              **settings)
  expected = weights(tmp_path / 'whole/ckpt-4')
  saved = weights(tmp_path / 'run/ckpt-4')
  assert expected.keys() == saved.keys()
  for name, value in expected.items():
    # Model Garden swaps by adding and subtracting, which rounds.
    np.testing.assert_allclose(
        saved[name], value, rtol=1e-5, atol=1e-8, err_msg=name)
  # The evaluation is made up for, once.
  for _ in range(2):
    short_runs.train(digits_dir, tmp_path / 'run', 'train_and_eval', **settings)
  steps = event_files.scalars(tmp_path / 'run/validation')['validation_loss']
  assert sorted(steps) == [4, 6]


@pytest.mark.slow
def test_before_the_first_step_nothing_is_written(
    digits_dir, tmp_path, monkeypatch):
  stopped = interrupted(monkeypatch, digits_dir, tmp_path, 'train_loop_begin',
                        1, **SETTINGS)
  assert str(stopped) == (
      'stopped by SIGTERM before the first step: nothing is lost. The same '
      'command begins again.')
  assert not list(tmp_path.glob('ckpt*'))


@pytest.mark.long
def test_after_the_last_step_nothing_more_is_begun(
    digits_dir, tmp_path, monkeypatch):
  # As the second and last evaluation has ended.
  stopped = interrupted(
      monkeypatch, digits_dir, tmp_path, 'eval_end', 2, **SETTINGS)
  assert stopped.exit_status == 143
  assert str(stopped) == (
      f'stopped by SIGTERM at step 6 of 6; {tmp_path}/ckpt-6 holds it. The '
      'same command goes on from there.')


@pytest.mark.long
def test_an_evaluation_alone_is_given_up(digits_dir, tmp_path):
  short_runs.train(digits_dir, tmp_path, **SETTINGS)
  run = session.prepare(
      short_runs.parameters(digits_dir, **SETTINGS), 'eval', str(tmp_path))
  timer = threading.Timer(0, os.kill, (os.getpid(), signal.SIGINT))
  original = trainer.Trainer.eval_begin

  def told(self):
    timer.start()
    wait_for(lambda: self._watch.notice)
    return original(self)

  with pytest.MonkeyPatch.context() as patch, pytest.raises(
      preemption.Preempted, match='^stopped by SIGINT: the evaluation is given '
      'up.$') as stopped:
    patch.setattr(trainer.Trainer, 'eval_begin', told)
    run.execute()
  assert stopped.value.exit_status == 130


@pytest.mark.long
def test_one_of_two_workers_is_told(digits_dir, tmp_path, repository):
  processes = workers.start(
      2, '--experiment=funnel_vit_digits', '--mode=train',
      f'--model_dir={tmp_path}/run', '--params_override=' + ','.join([
          f"task.data_dir='{digits_dir}'",
          "task.model.backbone.funnel_vit.layout='B1-1'",
          'task.train_data.global_batch_size=16', 'trainer.steps_per_loop=5000',
          'trainer.summary_interval=5000', 'trainer.checkpoint_interval=5000',
          'trainer.train_steps=1000000',
          'runtime.distribution_strategy=multi_worker_mirrored']),
      cwd=repository, log_dir=tmp_path)
  try:
    log = tmp_path / 'worker-0.txt'
    wait_for(lambda: 'training from' in log.read_text(), TIMEOUT_SECONDS)
    time.sleep(5)
    processes[1].send_signal(signal.SIGTERM)
    codes = [process.wait(TIMEOUT_SECONDS) for process in processes]
  finally:
    for process in processes:
      process.kill()
  lines = [(tmp_path / f'worker-{index}.txt').read_text().splitlines()
           for index in (0, 1)]
  assert codes == [143, 143], lines
  newest = tf.train.latest_checkpoint(tmp_path / 'run')
  step = newest.rsplit('-')[-1]
  assert lines[0][-1].startswith(
      f'stopped by the end of another worker at step {step} of 1000000; '
      f'{newest} holds it.')
  assert lines[1][-1].startswith(
      f'stopped by SIGTERM at step {step} of 1000000; {newest} holds it.')
