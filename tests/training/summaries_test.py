"""Tests of what TensorBoard shows of a training."""

import pathlib

import short_runs
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import plugin_data_pb2
import tensorflow as tf
import yaml

from official_ext.training import event_tags
from official_ext.training import summaries


def events(folder):
  return [(event.step, value) for path in pathlib.Path(folder).iterdir()
          for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
          for event in [event_pb2.Event.FromString(record)]
          for value in event.summary.value]


def test_both_losses_have_one_name_and_speed_stands_there_once(tmp_path):
  step = tf.Variable(7, dtype=tf.int64)
  for part, loss in (('train', 'training_loss'),
                     ('validation', 'validation_loss')):
    manager = summaries.SummaryManager(
        str(tmp_path / part), tf.summary.scalar, global_step=step)
    manager.write_summaries({
        loss: 0.5, 'steps_per_second': 3.0,
        event_tags.STEPS_PER_SECOND: 4.0})
    manager.flush()
    assert {value.tag: (at, float(tf.make_ndarray(value.tensor)))
            for at, value in events(tmp_path / part)} == {
                loss: (7, 0.5), event_tags.LOSS: (7, 0.5),
                event_tags.STEPS_PER_SECOND: (7, 4.0)}


def test_the_settings_as_text_and_hyperparameters(digits_dir, tmp_path):
  params = short_runs.parameters(digits_dir)
  manager = summaries.SummaryManager(str(tmp_path), tf.summary.scalar)
  summaries.write_configuration(params, manager, 30)
  manager.flush()
  (step, text), (other_step, hparams) = events(tmp_path)
  assert (step, other_step, text.tag) == (30, 30, 'configuration')
  lines = tf.make_ndarray(text.tensor).item().decode()
  assert yaml.safe_load(lines) == yaml.safe_load(
      yaml.safe_dump(params.as_dict()))
  assert all(line.startswith('    ') for line in lines.splitlines())
  found = plugin_data_pb2.HParamsPluginData.FromString(
      hparams.metadata.plugin_data.content).session_start_info.hparams
  assert found['task.model.backbone.funnel_vit.layout'].string_value == (
      short_runs.LAYOUT)
  assert found['task.train_data.global_batch_size'].number_value == (
      params.task.train_data.global_batch_size)
  assert found['task.model.input_size'].string_value == '[16, 16, 3]'
  # Where a training begins counts, although it may be left out to go on.
  assert found['task.model.kernel_initializer'].string_value == (
      params.task.model.kernel_initializer)
  # What changes nothing, what is not chosen and what is not read.
  for name in ('task.train_data.input_path', 'trainer.summary_interval',
               'task.model.backbone.resnet.model_id'):
    assert name not in found
