"""Trainings by what they logged, written by hand."""

import pathlib

from official.modeling import hyperparams
import short_runs
from tensorboard.compat.proto import event_pb2
from tensorboard.compat.proto import summary_pb2
from tensorboard.util import tensor_util
import tensorflow as tf


def event(time, step=0, **scalars):
  """A record of an event file; a name `a__b` is the tag a/b."""
  values = [
      summary_pb2.Summary.Value(
          tag=tag.replace('__', '/'),
          tensor=tensor_util.make_tensor_proto(value, dtype='float32'),
          metadata=summary_pb2.SummaryMetadata(
              plugin_data=summary_pb2.SummaryMetadata.PluginData(
                  plugin_name='scalars')))
      for tag, value in scalars.items()]
  return event_pb2.Event(
      wall_time=time, step=step, summary=summary_pb2.Summary(value=values))


def write_events(folder, events, number=0):
  """Writes an event file of records; returns its path."""
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  start = int(events[0].wall_time)
  path = folder / f'events.out.tfevents.{start:010d}.host.7.{number}.v2'
  # As TensorFlow begins every file.
  first = event_pb2.Event(wall_time=start, file_version='brain.Event:2')
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in (first, *events):
      writer.write(record.SerializeToString())
  return path


def write_params(model_dir, digits_dir, **settings):
  """Writes the configuration of a training."""
  pathlib.Path(model_dir).mkdir(parents=True, exist_ok=True)
  hyperparams.save_params_dict_to_yaml(
      short_runs.parameters(digits_dir, **settings),
      str(pathlib.Path(model_dir) / 'params.yaml'))


def write_run(model_dir, digits_dir, accuracies, loss=2.0, **settings):
  """A training that logged a step for each validation accuracy, 10 apart."""
  write_params(model_dir, digits_dir, **settings)
  steps = [10 * number for number in range(1, len(accuracies) + 1)]
  write_events(f'{model_dir}/train', [
      event(1000 + step, step, training_loss=loss / step, accuracy=0.5)
      for step in steps])
  write_events(f'{model_dir}/validation', [
      event(1001 + step, step, accuracy=accuracy)
      for step, accuracy in zip(steps, accuracies)], number=1)
  return str(model_dir)
