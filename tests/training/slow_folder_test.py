"""A folder that does not answer is told of, and waited for."""

import threading
import types

import pytest
import tensorflow as tf

from official_ext.checkpoints import choose
from official_ext.training import checkpoint_folder
from official_ext.training import checks
from official_ext.training import controller
from official_ext.training import slow_folder


@pytest.fixture(name='messages')
def _messages(monkeypatch):
  """What is told, and an event that it was."""
  monkeypatch.setattr(slow_folder, '_FIRST_SECONDS', 0.01)
  texts, was_told = [], threading.Event()

  def warning(text, *arguments):
    texts.append(text % arguments)
    was_told.set()

  monkeypatch.setattr(slow_folder.logging, 'warning', warning)
  return texts, was_told


def test_a_block_that_takes_long(messages):
  texts, was_told = messages
  with slow_folder.told('gs://bucket/run', 'a save'):
    assert was_told.wait(60)
  assert texts[0] == (
      'gs://bucket/run: a save takes 0 s already, and goes on. If it is not to '
      'be reached, Ctrl-C ends the run; what is saved stays.')
  assert not any(thread.name == 'slow_folder'
                 for thread in threading.enumerate())


def test_it_is_told_ever_more_seldom(monkeypatch):
  pauses, texts = [], []

  class Clock(threading.Event):
    def wait(self, pause=None):
      pauses.append(pause)
      return len(pauses) > 4

  class Thread:
    def __init__(self, target, **_):
      self.start = target

    def join(self):
      pass

  monkeypatch.setattr(slow_folder, 'threading', types.SimpleNamespace(
      Event=Clock, Thread=Thread))
  monkeypatch.setattr(slow_folder.logging, 'warning',
                      lambda _, *arguments: texts.append(arguments[-1]))
  with slow_folder.told('run', 'it'):
    pass
  assert pauses == [60, 60, 120, 240, 480]
  assert texts == [60, 120, 240, 480]


def test_what_is_quick_is_not_told(monkeypatch):
  monkeypatch.setattr(slow_folder.logging, 'warning', None)
  with slow_folder.told('run', 'a save'):
    pass


def test_at_the_start_and_at_a_save(messages, tmp_path, monkeypatch):
  texts, was_told = messages

  def wait(*_):
    assert was_told.wait(60)

  monkeypatch.setattr(choose, 'newest', wait)
  checks.latest_checkpoint(str(tmp_path))
  assert texts[0].startswith(f'{tmp_path}: reading its checkpoints takes ')
  texts.clear()
  was_told.clear()
  monkeypatch.setattr(
      checkpoint_folder.CheckpointFolder, 'check_space', wait)
  step = tf.Variable(1, dtype=tf.int64)
  controller.CheckpointManager(
      tf.train.Checkpoint(step=step), directory=str(tmp_path), max_to_keep=None,
      step_counter=step, checkpoint_interval=1,
      folder=checkpoint_folder.CheckpointFolder(str(tmp_path))).save(1)
  assert texts[0].startswith(f'{tmp_path}: saving the checkpoint of step 1 ta')
