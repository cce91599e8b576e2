import os

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing import plugin_event_accumulator
import tensorflow as tf

from official_ext.analysis import event_files
from official_ext.training import evaluations
from official_ext.training import restarts


def _log(folder, values, begin):
  """What a process logs, into the file of a time in seconds."""
  path = os.path.join(folder, f'events.out.tfevents.{begin}.host.1.0.v2')
  with tf.io.TFRecordWriter(path) as writer:
    writer.write(tf.compat.v1.Event(
        wall_time=begin, file_version='brain.Event:2').SerializeToString())
    for number, (step, value) in enumerate(values.items(), 1):
      event = tf.compat.v1.Event(wall_time=begin + 1800 * number, step=step)
      summary = event.summary.value.add(tag='loss')
      summary.metadata.plugin_data.plugin_name = 'scalars'
      summary.tensor.CopyFrom(tf.make_tensor_proto(float(value)))
      writer.write(event.SerializeToString())
  return path


def _tensors(accumulator):
  return {event.step: float(tf.make_ndarray(event.tensor_proto))
          for event in accumulator.Tensors('loss')}


def test_steps_after_the_checkpoint_are_taken_back(tmp_path, monkeypatch):
  folder = tmp_path / 'train'
  folder.mkdir()
  killed = _log(folder, {10: 1, 20: 2, 30: 3, 40: 4}, 1_000_000_000)
  with open(killed, 'ab') as file:
    file.write(b'a record that was cut')
  # Reads what is there now, and later what comes.
  running = plugin_event_accumulator.EventAccumulator(
      str(folder), tensor_size_guidance={'scalars': 0}).Reload()
  assert list(_tensors(running)) == [10, 20, 30, 40]

  # Within a second it logs on: the files are read in the order of their names.
  monkeypatch.setattr(restarts.time, 'time', lambda: 4_000_000_000.5)
  monkeypatch.setattr(restarts.socket, 'gethostname', lambda: 'host')
  restarts.take_back(str(folder), 20)
  assert evaluations.steps(str(folder)) == {10, 20}
  _log(folder, {30: 5, 50: 6}, 4_000_000_000)

  expected = {10: 1, 20: 2, 30: 5, 50: 6}
  assert _tensors(event_accumulator.EventAccumulator(
      str(folder), size_guidance={'tensors': 0}).Reload()) == expected
  assert _tensors(running.Reload()) == expected
  history = event_files.read(str(tmp_path))
  assert list(history.train['loss'].steps) == list(expected)
  assert history.num_starts == 2
  # Two hours of the first start, the lost one among them, and one more.
  assert history.total_hours == 3


def test_nothing_is_written_where_nothing_is_repeated(tmp_path):
  restarts.take_back(str(tmp_path / 'missing'), 40)
  assert not (tmp_path / 'missing').exists()
  path = _log(tmp_path, {10: 1, 40: 4}, 1_000_000_000)
  # Reading it may move the time of the last access, and nothing else.
  os.utime(path, ns=(0, 10 ** 18))
  before = os.stat(path)
  restarts.take_back(str(tmp_path), 40)
  after = os.stat(path)
  assert (after.st_ino, after.st_mtime_ns, after.st_size) == (
      before.st_ino, before.st_mtime_ns, before.st_size)
  assert len(list(tmp_path.iterdir())) == 1
