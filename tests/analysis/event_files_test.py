"""Tests of the histories of trainings."""

import event_files as independent_reader
import logged_runs
import numpy as np
import pytest
import tensorflow as tf

from official_ext.analysis import event_files

_HOUR = 3600.0


def as_dict(series):
  return dict(zip(series.steps.tolist(), series.values.tolist()))


def test_values_are_those_of_the_files(two_runs):
  history = event_files.read(two_runs[1])
  for subdir, logs in (('train', history.train),
                       ('validation', history.validation)):
    expected = independent_reader.scalars(f'{two_runs[1]}/{subdir}')
    assert {tag: as_dict(series) for tag, series in logs.items()} == expected
  assert history.train['training_loss'].steps.tolist() == [4, 8, 12]
  assert history.validation['accuracy'].steps.tolist() == [8, 12]
  assert history.last_step == 12
  assert history.num_starts == 1
  assert 0 < history.train_hours[0] < history.total_hours < 1


def test_values_of_a_later_start_win(tmp_path):
  # Logged by TensorFlow itself, so that times are in the order of writing.
  def log(folder, values):
    writer = tf.summary.create_file_writer(str(tmp_path / folder))
    with writer.as_default():
      for step, value in values:
        tf.summary.scalar('accuracy', value, step=step)
    writer.close()

  log('train', [(10, 0.1), (20, 0.2), (30, 0.3), (40, 0.4)])
  log('validation', [(20, 0.25), (40, 0.45)])
  # From the checkpoint of step 20.
  log('train', [(30, 0.35), (50, 0.55)])
  log('validation', [(60, 0.65)])
  history = event_files.read(str(tmp_path))
  # float32, as it is logged.
  assert as_dict(history.train['accuracy']) == pytest.approx(
      {10: 0.1, 20: 0.2, 30: 0.35, 50: 0.55})
  assert as_dict(history.validation['accuracy']) == pytest.approx(
      {20: 0.25, 60: 0.65})
  assert history.train_steps.tolist() == [10, 20, 30, 50]
  assert history.num_starts == 2


def test_a_start_that_repeats_the_last_step_drops_its_evaluation(tmp_path):
  logged_runs.write_events(tmp_path / 'train', [
      logged_runs.event(10, 5, loss=3.0, rate=1.0),
      logged_runs.event(20, 10, loss=2.0, rate=1.0)])
  logged_runs.write_events(tmp_path / 'validation', [
      logged_runs.event(21, 10, accuracy=0.5)])
  logged_runs.write_events(tmp_path / 'train', [
      logged_runs.event(40, 10, loss=1.0)])
  history = event_files.read(str(tmp_path))
  assert as_dict(history.train['loss']) == {5: 3, 10: 1}
  assert as_dict(history.train['rate']) == {5: 1}
  assert 'accuracy' not in history.validation


def test_several_records_of_a_step_are_one_log(tmp_path):
  logged_runs.write_events(tmp_path / 'train', [
      logged_runs.event(10, 5, loss=3.0), logged_runs.event(10, 5, rate=2.0)])
  history = event_files.read(str(tmp_path))
  assert {tag: as_dict(series) for tag, series in history.train.items()} == {
      'loss': {5: 3}, 'rate': {5: 2}}


def test_an_evaluation_of_an_older_step_gives_nothing_up(tmp_path):
  logged_runs.write_events(tmp_path / 'train', [
      logged_runs.event(10, 5, loss=3.0), logged_runs.event(20, 10, loss=2.0)])
  logged_runs.write_events(tmp_path / 'validation', [
      logged_runs.event(21, 10, accuracy=0.5)])
  logged_runs.write_events(tmp_path / 'validation', [
      logged_runs.event(90, 5, accuracy=0.25)])
  history = event_files.read(str(tmp_path))
  assert as_dict(history.train['loss']) == {5: 3, 10: 2}
  assert as_dict(history.validation['accuracy']) == {5: 0.25, 10: 0.5}


def test_training_time_leaves_pauses_out(tmp_path):
  # Two hours, a pause of ten, and three hours that repeat one step of two.
  logged_runs.write_events(tmp_path / 'train', [
      logged_runs.event(0, 0),
      logged_runs.event(1 * _HOUR, 100, loss=3.0),
      logged_runs.event(2 * _HOUR, 200, loss=2.0)])
  logged_runs.write_events(tmp_path / 'train', [
      logged_runs.event(12 * _HOUR, 0),
      logged_runs.event(13 * _HOUR, 200, loss=2.0),
      logged_runs.event(15 * _HOUR, 400, loss=1.0)])
  # While it trained, and a day later.
  logged_runs.write_events(tmp_path / 'validation', [
      logged_runs.event(13.5 * _HOUR, 200, accuracy=0.5)])
  logged_runs.write_events(tmp_path / 'validation', [
      logged_runs.event(39 * _HOUR, 400, accuracy=0.75)])
  history = event_files.read(str(tmp_path))
  assert history.train_steps.tolist() == [100, 200, 400]
  np.testing.assert_allclose(history.train_hours, [1, 3, 5])
  assert history.total_hours == pytest.approx(5)
  np.testing.assert_allclose(
      history.hours_at(history.validation['accuracy'].steps), [3, 5])
  # Halfway between two logs, and before the first.
  np.testing.assert_allclose(history.hours_at(np.array([300, 50])), [4, 0.5])
  assert history.newest_time == 39 * _HOUR


def test_a_clock_that_is_set_back_is_no_restart(tmp_path):
  logged_runs.write_events(tmp_path / 'train', [
      logged_runs.event(100, 10, loss=3.0),
      logged_runs.event(90, 20, loss=2.0)])
  history = event_files.read(str(tmp_path))
  assert as_dict(history.train['loss']) == {10: 3, 20: 2}
  assert history.train_hours[0] == history.train_hours[1] == 0


def test_a_record_that_is_being_written_ends_the_file(tmp_path):
  path = logged_runs.write_events(tmp_path / 'train', [
      logged_runs.event(10, 5, loss=3.0), logged_runs.event(20, 10, loss=2.0)])
  path.write_bytes(path.read_bytes()[:-7])
  history = event_files.read(str(tmp_path))
  assert as_dict(history.train['loss']) == {5: 3}
  assert history.validation == {}


def test_a_training_that_has_just_begun_is_empty(tmp_path):
  folder = tmp_path / 'train'
  folder.mkdir()
  (folder / 'events.out.tfevents.1.host.7.0.v2').touch()
  history = event_files.read(str(tmp_path))
  assert history.train == history.validation == {}
  assert history.last_step is None
  assert history.newest_time is None
  assert np.isnan(history.hours_at(np.array([1]))).all()


def test_evaluations_alone_have_no_training_time(tmp_path):
  logged_runs.write_events(tmp_path / 'eval', [
      logged_runs.event(10, 5, accuracy=0.5)])
  history = event_files.read(str(tmp_path), 'eval')
  assert as_dict(history.validation['accuracy']) == {5: 0.5}
  assert (history.total_hours, history.num_starts) == (None, 0)


def test_what_is_no_scalar_is_left_out(tmp_path):
  writer = tf.summary.create_file_writer(str(tmp_path / 'train'))
  with writer.as_default(step=1):
    tf.summary.text('note', 'words')
    tf.summary.histogram('weights', [1.0, 2.0])
    tf.summary.scalar('loss', 1.0)
  writer.close()
  # What the profiler leaves.
  (tmp_path / 'train' / 'events.out.tfevents.9.host.profile-empty').touch()
  history = event_files.read(str(tmp_path))
  assert list(history.train) == ['loss']
  assert history.num_starts == 1


def test_a_folder_without_event_files_is_an_error(tmp_path):
  with pytest.raises(ValueError, match=(
      rf'there are no event files in {tmp_path}/train or '
      rf'{tmp_path}/validation: .* Name the --model_dir')):
    event_files.read(str(tmp_path))


def test_damage_is_told_and_a_record_in_the_making_is_not(tmp_path, caplog):
  events = [logged_runs.event(100 + step, step, accuracy=0.5)
            for step in range(10)]
  path = logged_runs.write_events(tmp_path / 'train', events)
  whole = path.read_bytes()
  path.write_bytes(whole[:-5])
  assert event_files.read(str(tmp_path)).last_step == 8
  assert caplog.text == ''
  middle = len(whole) // 2
  path.write_bytes(whole[:middle] + b'damaged' + whole[middle + 7:])
  last_step = event_files.read(str(tmp_path)).last_step
  assert 2 < last_step < 7
  # The first record is TensorFlow's own, and steps count from 0.
  assert f'{path} is damaged after {last_step + 2} records' in caplog.text
  caplog.clear()
  path.write_bytes(b'no events at all')
  assert event_files.read(str(tmp_path)).last_step is None
  assert f'{path} is damaged after 0 records' in caplog.text
