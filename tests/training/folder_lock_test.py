"""Tests of the lock that keeps a second training out of a folder."""

import contextlib
import errno
import fcntl
import json
import logging
import multiprocessing
import os
import re
import signal
import socket
import threading
import time

import pytest
import short_runs
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.training import folder_lock
from official_ext.training import session

# A child needs nothing of TensorFlow, and a new Python would import it.
PROCESSES = multiprocessing.get_context('fork')


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
  monkeypatch.setattr(folder_lock, '_BEAT_SECONDS', 0.05)
  monkeypatch.setattr(folder_lock, '_SILENT_SECONDS', 0.4)
  monkeypatch.setattr(folder_lock, '_SETTLE_SECONDS', 0.1)


@contextlib.contextmanager
def training_elsewhere(model_dir):
  """A process that holds the folder until it is killed; gives its id."""
  holds = PROCESSES.Event()

  def hold():
    with folder_lock.hold(model_dir):
      holds.set()
      time.sleep(600)

  process = PROCESSES.Process(target=hold)
  process.start()
  try:
    assert holds.wait(60)
    yield process.pid
  finally:
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def record(model_dir, **changed):
  """Leaves what a training wrote whose end nobody saw."""
  path = os.path.join(model_dir, folder_lock.FILE)
  with tf.io.gfile.GFile(path, 'w') as file:
    file.write(json.dumps({
        'host': 'elsewhere', 'process': 7, 'since': '2026-01-02 03:04:05 UTC',
        'boot': 'another', 'token': 'x', 'beat': 1} | changed))
  return path


def test_the_second_training_is_refused_until_the_first_is_killed(
    tmp_path, digits_dir):
  model_dir = str(tmp_path)
  with training_elsewhere(model_dir) as process:
    expected = (
        rf'^--model_dir={re.escape(model_dir)} is in use by another training: '
        rf'process {process} on {re.escape(socket.gethostname())}, since '
        r'20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC. Wait for its end, stop it, or '
        r'choose another --model_dir.$')
    with pytest.raises(errors.UserError, match=expected):
      with folder_lock.hold(model_dir):
        pass
    params = short_runs.parameters(digits_dir)
    for mode in ('train', 'train_and_eval'):
      with pytest.raises(errors.UserError, match=expected):
        session.prepare(params, mode, model_dir)
    # An evaluation may run beside it.
    session.prepare(params, 'continuous_eval', model_dir)
  # Nothing of it is left that would block, and nobody is waited for.
  start = time.monotonic()
  with folder_lock.hold(model_dir):
    assert time.monotonic() - start < 0.5
  assert os.path.getsize(tmp_path / folder_lock.FILE) == 0


def test_a_training_holds_its_folder_to_its_end(tmp_path, digits_dir):
  model_dir = str(tmp_path)
  run = session.prepare(short_runs.parameters(digits_dir), 'train', model_dir)
  with folder_lock.hold(model_dir):
    with pytest.raises(errors.UserError, match=f'process {os.getpid()} on'):
      run.execute()
  # It had not begun: the configuration of the first is untouched.
  assert os.listdir(tmp_path) == [folder_lock.FILE]


# Whatever has a scheme is treated as a store of objects.
@pytest.mark.slow
@pytest.mark.parametrize('scheme', ['', 'file://'])
def test_a_training_of_another_machine(tmp_path, scheme, caplog):
  model_dir = f'{scheme}{tmp_path}'
  # It beats: refused.
  ended = threading.Event()

  def beat():
    number = 0
    while not ended.wait(0.02):
      number += 1
      record(model_dir, beat=number)

  record(model_dir)
  other = threading.Thread(target=beat, daemon=True)
  other.start()
  with pytest.raises(errors.UserError, match=(
      'process 7 on elsewhere, since 2026-01-02 03:04:05 UTC')):
    with folder_lock.hold(model_dir):
      pass
  ended.set()
  other.join()
  # It is silent: taken over, and said.
  with caplog.at_level(logging.INFO, 'absl'), folder_lock.hold(model_dir):
    assert 'was held by process 7 on elsewhere' in caplog.text
    path = os.path.join(model_dir, folder_lock.FILE)
    found = []
    for _ in range(2):
      with tf.io.gfile.GFile(path, 'rb') as file:
        found.append(json.loads(file.read()))
      time.sleep(0.3)
    assert found[0]['process'] == os.getpid()
    assert found[1]['beat'] > found[0]['beat']
  # At its end nothing is left to wait for.
  with folder_lock.hold(model_dir):
    pass
  assert caplog.text.count('was held by') == 1


def test_two_that_begin_at_once_on_a_store_of_objects(tmp_path, monkeypatch):
  model_dir = f'file://{tmp_path}'

  def other_writes(_):
    record(model_dir)
  monkeypatch.setattr(folder_lock.time, 'sleep', other_writes)
  with pytest.raises(errors.UserError, match='process 7 on elsewhere'):
    with folder_lock.hold(model_dir):
      pass


def test_a_training_that_was_taken_for_gone_says_so(tmp_path, caplog):
  model_dir = f'file://{tmp_path}'
  with folder_lock.hold(model_dir):
    path = record(model_dir)
    time.sleep(0.3)
    assert 'another training has begun in' in caplog.text
  # Its lock is not ours to remove.
  assert tf.io.gfile.exists(path)


def test_the_lock_of_a_start_that_fails_goes_with_it(tmp_path):
  path = tmp_path / folder_lock.FILE

  def fail():
    with pytest.raises(KeyError), folder_lock.hold(str(tmp_path)):
      raise KeyError

  fail()
  assert not path.exists()
  # Not where it leaves something else, and not one that was there before.
  (tmp_path / 'ckpt-1.index').touch()
  fail()
  assert path.stat().st_size == 0
  (tmp_path / 'ckpt-1.index').unlink()
  fail()
  assert path.exists()


def test_a_lock_that_is_removed_while_it_is_opened(tmp_path, monkeypatch):
  path = tmp_path / folder_lock.FILE
  flock = fcntl.flock

  def removed_before(*arguments):
    monkeypatch.setattr(fcntl, 'flock', flock)
    path.unlink()
    flock(*arguments)

  monkeypatch.setattr(fcntl, 'flock', removed_before)
  with folder_lock.hold(str(tmp_path)):
    # A third one finds it.
    with pytest.raises(errors.UserError, match=f'process {os.getpid()} on'):
      folder_lock.check(str(tmp_path))
    assert path.exists()


def test_a_file_system_without_locks(tmp_path, monkeypatch, caplog):
  def no_locks(*_):
    raise OSError(errno.ENOLCK, 'No locks available')
  monkeypatch.setattr(fcntl, 'flock', no_locks)
  with caplog.at_level(logging.INFO, 'absl'), folder_lock.hold(str(tmp_path)):
    assert f'nothing locks {tmp_path} for sure' in caplog.text
    # The beat is what the second one sees.
    with pytest.raises(errors.UserError, match=f'process {os.getpid()} on'):
      with folder_lock.hold(str(tmp_path)):
        pass


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
  def read_only(*_):
    raise OSError(errno.EROFS, 'Read-only file system')
  monkeypatch.setattr(os, 'open', read_only)
  with pytest.raises(errors.UserError, match=(
      f'--model_dir={tmp_path} cannot be written: .*Read-only file system. ')):
    with folder_lock.hold(str(tmp_path)):
      pass
