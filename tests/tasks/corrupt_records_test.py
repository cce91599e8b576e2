"""Corrupt records are found, listed and left out, if so many are allowed."""

import pathlib
import re

import pytest
import records_for_tests
import short_runs
import tensorflow as tf

from official_ext.params import experiment
from official_ext.tasks import bad_records
from official_ext.tasks import corrupt_records
from official_ext.training import session

LIMIT = 'task.train_data.max_corrupt_records'
GOOD = [records_for_tests.example(label) for label in range(4)]


def flip(file, position):
  contents = bytearray(file.read_bytes())
  contents[position] ^= 1
  file.write_bytes(contents)


@pytest.fixture(name='files')
def _files(tmp_path):
  """Two shards: one good, one with four bad records between good ones."""
  bad = [b'\xff', GOOD[0], records_for_tests.example(10), GOOD[1],
         records_for_tests.example(1, b'no image'), GOOD[2], GOOD[3]]
  files = [pathlib.Path(records_for_tests.write(
      tmp_path / f'train-0000{number}-of-00002', records))
          for number, records in enumerate((GOOD, bad))]
  flip(files[1], files[1].stat().st_size - 20)
  return files


def task_of(files, limit, extra=''):
  return experiment.load('funnel_vit_digits', params_override=(
      f"task.data_dir='',task.train_data.input_path='{files[0].parent}/train*',"
      f"task.validation_data.input_path='{files[0]}',{LIMIT}={limit}{extra}"
  )).task


def check(files, limit, model_dir='', extra=''):
  return corrupt_records.check(task_of(files, limit, extra), str(model_dir))


def read(path):
  return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def test_all_are_found_and_left_out(files):
  before = files[1].read_bytes()
  checked = check(files, 4)
  assert checked.num_records == 11
  assert [(one.file, one.record) for one in checked.corrupt] == [
      (str(files[1]), record) for record in (0, 2, 4, 6)]
  for one, reason in zip(checked.corrupt, (
      'it is damaged (Error parsing message',
      'has label 10 (label_offset 0), but', 'holds an image that cannot be dec',
      'it is damaged (its checksum is wrong).')):
    assert one.reason.startswith(reason)
  assert str(checked) == '4 of 11 training records left out'
  copies = corrupt_records.copy(checked)
  assert list(copies) == [str(files[1])]
  # The one before, and in front the one behind.
  assert read(copies[str(files[1])]) == [
      GOOD[place] for place in (0, 0, 0, 1, 1, 2, 2)]
  assert files[1].read_bytes() == before


def test_more_than_allowed(files):
  with pytest.raises(ValueError, match=(
      '^4 records of task.train_data are corrupt, and max_corrupt_records is '
      f'3. The first is record 0 of {files[1]}: it is damaged ')):
    check(files, 3)


@pytest.fixture(name='read_files')
def _read_files(monkeypatch):
  """The names of the files that are read, as they are."""
  names, original = [], corrupt_records._check_file

  def noting(task, file):
    names.append(pathlib.Path(file).name)
    return original(task, file)

  monkeypatch.setattr(corrupt_records, '_check_file', noting)
  return names


def test_only_what_has_changed_is_read_again(files, tmp_path, read_files):
  model_dir = tmp_path / 'run'
  model_dir.mkdir()
  names = [file.name for file in files]
  checked = check(files, 4, model_dir)
  assert sorted(read_files) == names
  checked.write(str(model_dir))
  # The data are moved as a whole.
  moved = tmp_path / 'moved'
  moved.mkdir()
  files = [file.rename(moved / file.name) for file in files]
  read_files.clear()
  again = check(files, 4, model_dir)
  assert not read_files
  assert [(one.file, one.record, one.reason) for one in again.corrupt] == [
      (str(files[1]), one.record, one.reason) for one in checked.corrupt]
  # A byte more is damaged, and no file is longer than before.
  flip(files[0], files[0].stat().st_size - 20)
  with pytest.raises(ValueError, match=(
      f'^5 records .* The first is record 3 of {files[0]}: it is damaged')):
    check(files, 4, model_dir)
  assert read_files == names[:1]
  # It is repaired, and so are the others.
  for file in files:
    records_for_tests.write(file, GOOD)
  assert check(files, 4, model_dir).corrupt == ()
  assert sorted(read_files[1:]) == names


def test_what_is_bad_depends_on_settings(files, tmp_path, read_files):
  check(files, 4, tmp_path).write(str(tmp_path))
  read_files.clear()
  other = ',task.train_data.label_offset=-1'
  # Label 0 is none any more, in both files, and label 10 is one.
  assert [(one.record, one.file) for one in check(
      files, 5, tmp_path, other).corrupt] == [
          (0, str(files[0])), *((record, str(files[1])) for record in (
              0, 1, 4, 6))]
  assert len(read_files) == 2


@pytest.mark.parametrize('text', [
    '', '[]', '{"settings": {}}', '{"num_bytes": 7, "corrupt": []}'])
def test_a_list_that_says_nothing_of_the_files(files, tmp_path, text):
  (tmp_path / corrupt_records.FILE).write_text(text)
  assert len(check(files, 4, tmp_path).corrupt) == 4


def test_a_message_names_no_record_that_is_left_out(files):
  task = task_of(files, 4)
  checked = corrupt_records.check(task, '')
  error = tf.errors.DataLossError(None, None, 'corrupted record at 12')
  copies = corrupt_records.copy(checked)
  assert bad_records.find(task, ['train_data'], error, copies=copies) is None
  assert f'record 0 of {files[1]}' in bad_records.find(
      task, ['train_data'], error)


def test_behind_what_nothing_can_be_read(files):
  with pytest.raises(ValueError, match=(
      'file_type=tfrecord_compressed. nothing is found behind a damage')):
    check(files, 4, extra=',task.train_data.file_type=tfrecord_compressed')
  flip(files[0], 0)
  with pytest.raises(ValueError, match=(
      f'{files[0]} is cut or damaged at record 0, and what follows cannot')):
    check(files, 4)
  files[0].write_bytes(b''.join(
      [files[1].read_bytes()[:-100]]))
  with pytest.raises(ValueError, match='is cut or damaged at record 6, and'):
    check(files, 4)


@pytest.mark.long
def test_a_training_goes_without(digits_dir, tmp_path, capfd):
  data, model_dir = tmp_path / 'data', tmp_path / 'run'
  data.mkdir()
  for path in pathlib.Path(digits_dir).glob('*-of-*'):
    (data / path.name).write_bytes(path.read_bytes())
  shard = next(data.glob('train-*'))
  flip(shard, shard.stat().st_size - 20)
  with pytest.raises(ValueError, match=r'record \d+ of .* is damaged \(corru'):
    session.prepare(
        short_runs.parameters(str(data)), 'train', str(model_dir))
  short_runs.train(
      str(data), model_dir, **{LIMIT: 1, 'trainer.train_steps': 2})
  assert re.search(
      r'\nrecords +1 of 1,437 training records left out: corrupt_records.json',
      capfd.readouterr().out)
  assert (model_dir / corrupt_records.FILE).exists()
