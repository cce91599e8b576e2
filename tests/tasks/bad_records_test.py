"""Bad records that a training meets are named, file and number."""

import pathlib

import pytest
import records_for_tests
import short_runs
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.params import experiment
from official_ext.tasks import bad_records
from official_ext.tasks import label_offset
from official_ext.training import session


@pytest.fixture(name='files')
def _files(tmp_path):
  """Three shards of four good records."""
  return [pathlib.Path(records_for_tests.write(
      tmp_path / f'train-0000{number}-of-00003',
      [records_for_tests.example(label) for label in range(4)]))
          for number in range(3)]


# As TensorFlow words them.
DAMAGED = tf.errors.DataLossError(None, None, 'corrupted record at 12')
LABEL = tf.errors.InvalidArgumentError(
    None, None, f'assertion failed: [{label_offset.BAD_LABEL}: so] [10]\n')
IMAGE = tf.errors.InvalidArgumentError(
    None, None, 'Unknown image file format.\n\t [[{{node DecodeImage}}]]')


def find(files, error=DAMAGED, names=('train_data',)):
  task = experiment.load('funnel_vit_digits', params_override=(
      f"task.data_dir='',task.train_data.input_path='{files[0].parent}/train*',"
      f"task.validation_data.input_path='{files[0]}'")).task
  return bad_records.find(task, names, error)


def put(file, record):
  """Puts a record into the third place of a file."""
  good = records_for_tests.example(1)
  records_for_tests.write(file, [good, good, record, good])


def damage(file, position):
  contents = bytearray(file.read_bytes())
  contents[position] ^= 1
  file.write_bytes(contents)


def test_good_records(files):
  assert find(files, error=IMAGE, names=('train_data', 'validation_data')
              ) is None


@pytest.mark.parametrize('record, error, expected', [
    (records_for_tests.example(10), LABEL,
     r'has label 10 (label_offset 0), but the model has classes 0..9. '),
    (records_for_tests.example(None), LABEL,
     "has no label under 'image/class/label'; "),
    (b'\xff', LABEL, 'is damaged ('),
    (records_for_tests.example(3, b'no image'), IMAGE,
     'holds an image that cannot be decoded ('),
    (records_for_tests.example(3, b'no image'), LABEL, None)],
    # The order of a map in a serialized record differs between processes.
    ids=['label', 'no label', 'damaged', 'no image', 'image not looked at'])
def test_a_record_that_is_no_example_of_the_task(
    files, record, error, expected):
  put(files[1], record)
  found = find(files, error)
  if expected is None:
    assert found is None
    return
  assert found.startswith(f'task.train_data: record 2 of {files[1]} {expected}')


def test_a_damaged_record(files):
  size = len(files[1].read_bytes()) // 4
  damage(files[1], 3 * size + 20)
  assert find(files).startswith(
      f'task.train_data: record 3 of {files[1]} is damaged (corrupted record '
      f'at {3 * size + 12}). Copy the file anew')
  # The file that comes first, although it is read side by side with others.
  damage(files[0], 0)
  assert find(files).startswith(
      f'task.train_data: record 0 of {files[0]} is damaged, or the file holds '
      'no TFRecords of tf.train.Example (corrupted ')


def test_another_error(files):
  damage(files[0], 0)
  for error in (tf.errors.AbortedError(None, None, ''),
                tf.errors.DataLossError(None, None, 'Checksum does not match'),
                tf.errors.InvalidArgumentError(None, None, 'shapes')):
    assert find(files, error) is None


def test_a_cut_file(files):
  files[2].write_bytes(files[2].read_bytes()[:-1])
  assert find(files).startswith(
      f'task.train_data: record 3 of {files[2]} is damaged (truncated record ')
  assert find(files, names=('validation_data',)) is None


@pytest.mark.parametrize('kind', [
    tf.errors.NotFoundError, tf.errors.PermissionDeniedError])
@pytest.mark.parametrize('before, after', [
    ('', ''),
    # As the error of a loop of steps.
    ('Graph execution error:\n\nDetected at node Next defined at (most recent '
     'call last):\n<stack traces unavailable>\n',
     '\n\t [[{{node Next}}]] [Op:__inference_loop_fn_8135]')],
                         ids=['alone', 'in a loop'])
def test_a_file_that_is_gone(kind, before, after):
  error = kind(None, None, (
      f'{before}/data/digits/train-0; No such file or directory{after}'))
  assert bad_records.explain(error) is None
  task = experiment.load('funnel_vit_digits', params_override=(
      'task.data_dir=/data/digits')).task
  assert bad_records.explain(error, task) == (
      'a file of /data/digits/train* cannot be read any more: '
      '/data/digits/train-0; No such file or directory. Once it can be, the '
      'same command goes on from the newest checkpoint.')


@pytest.mark.slow
def test_in_a_training(digits_dir, tmp_path):
  data = tmp_path / 'data'
  data.mkdir()
  for path in pathlib.Path(digits_dir).glob('*-of-*'):
    (data / path.name).write_bytes(path.read_bytes())
  run = session.prepare(
      short_runs.parameters(str(data)), 'train', str(tmp_path / 'run'))
  # After the start, as if the data were too large to be read there.
  shard = next(data.glob('train-*'))
  damage(shard, shard.stat().st_size // 2)
  with pytest.raises(errors.UserError, match=(
      rf'^task.train_data: record \d+ of {shard} is damaged ')):
    run.execute(enable_async_checkpointing=False)
