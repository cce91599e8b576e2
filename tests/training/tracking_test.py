"""Tests of the services that a training is logged to."""

import json
import threading

import event_files
import numpy as np
import pytest
import short_runs

from official_ext.command_line import errors
from official_ext.training import preemption
from official_ext.training import trackers
from official_ext.training import tracking
from official_ext.training import trainer as trainer_lib

INTERVALS = {
    f'trainer.{name}': 2 for name in (
        'train_steps', 'steps_per_loop', 'summary_interval',
        'checkpoint_interval', 'validation_interval')}


class Recorder(trackers.Tracker):
  """Keeps what it is told."""
  name = 'Recorder'
  key = 'recorder'

  def __init__(self, fails=()):
    self.fails = fails
    self.known, self.training, self.how = None, None, None
    self.numbers, self.images = {}, {}

  def begin(self, training, known):
    if 'begin' in self.fails:
      raise OSError('no route to host')
    self.training, self.known = training, dict(known)
    return {'run': known.get('run', 'first')}

  def scalars(self, values, step):
    if 'scalars' in self.fails:
      raise OSError('no route to host')
    for name, value in values.items():
      self.numbers.setdefault(name, {})[step] = value

  def image(self, name, image, step):
    self.images[name] = np.asarray(image.convert('RGB')), step

  def end(self, how, seconds):
    self.how = how

  def where(self):
    return 'in memory'


@pytest.fixture(name='recorded')
def _recorded(monkeypatch):
  """Has every training be logged to new recorders; returns these."""
  found = []

  def create(self, config=None):
    self._trackers = [Recorder()] if config else []
    self._running = []
    found.extend(self._trackers)

  monkeypatch.setattr(tracking.Tracking, '__init__', create)
  return found


@pytest.mark.long
def test_they_get_what_tensorboard_has(digits_dir, tmp_path, recorded, capsys):
  trainer = short_runs.train(digits_dir, tmp_path, 'train_and_eval', **{
      **INTERVALS, 'trainer.logging.training_images': 3,
      'trainer.logging.confusion_matrix': True, 'trainer.export.at_end': False})
  one, = recorded
  assert 'Recorder: in memory' in capsys.readouterr().out
  for folder in ('train', 'validation'):
    numbers = event_files.scalars(tmp_path / folder)
    assert len(numbers) > 4
    for name, values in numbers.items():
      found = one.numbers[f'{folder}/{name}']
      assert list(found) == list(values) == [2]
      assert np.float32(found[2]) == np.float32(values[2])
    assert len(numbers) == sum(
        name.startswith(f'{folder}/') for name in one.numbers)
  for folder, name, step in (('train', 'training_images', 1),
                             ('validation', 'confusion_matrix', 2)):
    image, at = one.images.pop(f'{folder}/{name}')
    assert at == step
    np.testing.assert_array_equal(
        image, event_files.images(tmp_path / folder, name)[step])
  assert not one.images
  assert one.how == trackers.FINISHED
  assert one.training.configuration == trainer.config.as_dict()
  assert one.training.hyperparameters['task.model.num_classes'] == 10
  assert one.training.step == 0 and one.training.name == tmp_path.name
  # All images of the validation, and those that are right, once each.
  counts = trainer.confusion[0].result().numpy()
  assert counts.sum() == trainer.validation_logs['num_images'] == 360
  assert np.trace(counts) / 360 == pytest.approx(
      trainer.validation_logs['accuracy'])


def begun(folder, tracker):
  found = tracking.Tracking()
  found._trackers = [tracker]
  found.begin(trackers.Training(str(folder), {}, {}, 0))
  return found


@pytest.mark.slow
def test_a_start_that_fails_before_its_first_step_begins_no_run(
    digits_dir, tmp_path, recorded, monkeypatch):
  def fail(self):
    raise errors.UserError('out of memory')

  monkeypatch.setattr(trainer_lib.Trainer, 'train_loop_begin', fail)
  with pytest.raises(errors.UserError, match='out of memory'):
    short_runs.train(digits_dir, tmp_path / 'run', **INTERVALS)
  one, = recorded
  assert one.training is None and one.how is None
  assert not (tmp_path / 'run').exists()


def test_a_run_begins_with_the_first_that_is_logged(tmp_path):
  found, one, told = tracking.Tracking(), Recorder(), []
  found._trackers = [one]
  found.expect(trackers.Training(str(tmp_path), {}, {}, 4), told.append)
  assert not told and one.training is None
  for step in (6, 8):
    found.scalars('train', {'loss': 0.5 * step}, step)
  with found.ended():
    pass
  assert told == ['Recorder: in memory']
  assert one.training.step == 4
  assert one.numbers == {'train/loss': {6: 3.0, 8: 4.0}}


def test_a_run_goes_on(tmp_path):
  for known in ({}, {'run': 'first'}):
    one = Recorder()
    begun(tmp_path, one)
    assert one.known == known
  path = tmp_path / trackers.RUNS_FILE
  assert json.loads(path.read_text()) == {'recorder': {'run': 'first'}}
  path.write_text('{')
  one = Recorder()
  begun(tmp_path, one)
  assert one.known == {}


@pytest.mark.parametrize('error, how', [
    (None, trackers.FINISHED), (ValueError, trackers.FAILED),
    (KeyboardInterrupt, trackers.FAILED),
    (preemption.Preempted('SIGTERM', 143), trackers.PREEMPTED)])
def test_how_a_run_ends(tmp_path, error, how):
  one = Recorder()
  found = begun(tmp_path, one)
  if error is None:
    with found.ended():
      pass
  else:
    with pytest.raises(
        error if isinstance(error, type) else type(error)), found.ended():
      raise error
  assert one.how == how


def test_a_network_that_fails_stops_nothing(tmp_path, caplog):
  assert begun(tmp_path, Recorder(fails=['begin']))._running == []
  assert 'Recorder could not begin, and the training goes on' in caplog.text
  one = Recorder(fails=['scalars'])
  found = begun(tmp_path, one)
  with found.ended():
    for step in range(3):
      found.scalars('train', {'loss': 1.0}, step)
  assert caplog.text.count('no route to host') == 2
  assert '(3 calls failed or are left)' in caplog.text
  assert one.how == trackers.FINISHED


def test_the_end_does_not_wait_for_ever(tmp_path, caplog, monkeypatch):
  monkeypatch.setattr(trackers, '_END_SECONDS', 0.1)
  released = threading.Event()
  one = Recorder()
  monkeypatch.setattr(one, 'scalars', lambda values, step: released.wait())
  found = begun(tmp_path, one)
  with found.ended():
    for step in range(3):
      found.scalars('train', {'loss': 1.0}, step)
  released.set()
  assert 'Recorder did not get all that was logged' in caplog.text
