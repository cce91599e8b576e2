"""Every image once an epoch, whatever interrupts a training."""

import collections
import json
import shutil

import models
import pytest
import records_for_tests
import short_runs
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.command_line import errors
from official_ext.tasks import image_classification
from official_ext.tasks import preflight
from official_ext.training import data_position
from official_ext.training import session

NUM_IMAGES = 60
SETTINGS = {
    'task.train_data.cache': False,
    'task.train_data.shuffle_buffer_size': 20,
    'task.train_data.num_examples': NUM_IMAGES,
    'task.train_data.global_batch_size': 10,
    'task.model.num_classes': NUM_IMAGES,
    'task.train_data.mixup_and_cutmix': None,
    'task.losses.soft_labels': False, 'task.losses.one_hot': True,
    'trainer.steps_per_loop': 1, 'trainer.checkpoint_interval': 1,
    'trainer.export.at_end': False, 'trainer.seed': 1,
}


@pytest.fixture(name='folder', scope='module')
def _folder(tmp_path_factory):
  """Images that are told apart by their labels, in six files."""
  folder = tmp_path_factory.mktemp('records')
  for split in ('train', 'validation'):
    for first in range(0, NUM_IMAGES, 10):
      records_for_tests.write(
          folder / f'{split}-{first // 10:05d}-of-00006', [
              records_for_tests.example(label)
              for label in range(first, first + 10)])
  return folder


@pytest.fixture(name='trained_on')
def _trained_on(monkeypatch):
  """The labels that training steps have had."""
  seen = []
  step = image_classification.ImageClassificationTask.train_step

  def counting_step(task, inputs, *args, **settings):
    tf.py_function(
        lambda labels: seen.extend(labels.numpy().tolist()), [inputs[1]], [])
    return step(task, inputs, *args, **settings)

  monkeypatch.setattr(image_classification.ImageClassificationTask,
                      'train_step', counting_step)
  return seen


def train(folder, model_dir, num_steps, strategy=None, **settings):
  params = short_runs.parameters(str(folder), **{
      **SETTINGS, 'trainer.train_steps': num_steps, **settings})
  session.prepare(
      params, 'train', str(model_dir), strategy=strategy,
      allow_changes=True).execute(enable_async_checkpointing=False)


def assert_each(seen, times):
  assert collections.Counter(seen) == {
      label: times for label in range(NUM_IMAGES)}


@pytest.mark.long
def test_restarts_go_on_with_the_images_that_are_left(
    folder, trained_on, tmp_path):
  # With another batch size at the end.
  train(folder, tmp_path, 2)
  assert metadata.read(f'{tmp_path}/ckpt-2')[data_position.KEY] == {
      'num_images': 0, 'num_batches': 0, 'batch_size': 10, 'order': {
          'seed': 1, 'num_records': 60, 'num_files': 6, 'num_lanes': 2,
          'block_size': 5}}
  train(folder, tmp_path, 4, **{'task.train_data.global_batch_size': 20})
  assert_each(trained_on, 1)
  assert metadata.read(f'{tmp_path}/ckpt-4')[data_position.KEY][
      'num_images'] == 20


@pytest.mark.long
@pytest.mark.parametrize('settings', [
    {'task.train_data.cache': True}, {'trainer.seed': None}], ids=str)
def test_kept_in_memory_and_without_a_seed(
    folder, trained_on, tmp_path, settings):
  for num_steps in (4, 7, 12):
    train(folder, tmp_path, num_steps, **settings)
  assert_each(trained_on, 2)


@pytest.mark.long
def test_mirrored(folder, trained_on, tmp_path):
  for num_steps in (2, 6):
    train(folder, tmp_path, num_steps, strategy=models.mirrored(2))
  assert_each(trained_on, 1)


@pytest.mark.long
def test_a_file_that_holds_fewer_records_than_its_manifest_says(
    folder, tmp_path, monkeypatch):
  data = shutil.copytree(folder, tmp_path / 'data')
  shards = [{'name': path.name, 'num_bytes': path.stat().st_size,
             'num_images': 10} for path in sorted(data.glob('train*'))]
  shards[2]['num_images'] = 11
  (data / 'manifest.json').write_text(
      json.dumps({'splits': {'train': {'shards': shards}}}))
  # As of a large data set, of which a sample is read before the start.
  monkeypatch.setattr(preflight, '_READ_WHOLE_BYTES', 1)
  with pytest.raises(
      errors.UserError, match='train-00002-of-00006 holds 10 records, but by '
      'manifest.json 11'):
    train(data, tmp_path / 'run', 8)


class _Task:
  """Notes where the data are entered."""

  def enter_data(self, position, known, num_workers):
    self.entered = position, known, num_workers
    return {'seed': 3}


def save(path, step, skipped=None, position=None):
  items = {'global_step': tf.Variable(step, dtype=tf.int64)}
  if skipped is not None:
    items['recovery'] = tf.train.Checkpoint(
        skipped_batches=tf.Variable(skipped, dtype=tf.int64))
  if position is not None:
    items[metadata.CHECKPOINT_ITEM] = metadata.CheckpointMetadata(
        {data_position.KEY: position})
  return tf.train.Checkpoint(**items).write(str(path))


@pytest.mark.parametrize('checkpoint, expected', [
    ({'step': 7}, (70, {}, 2)),
    ({'step': 7, 'skipped': 2}, (90, {}, 2)),
    # 100 images in the first steps, then 5 + 2 - 4 batches of 30.
    ({'step': 5, 'skipped': 2, 'position': {
        'num_images': 100, 'num_batches': 4, 'batch_size': 30,
        'order': {'seed': 3}}}, (190, {'seed': 3}, 2)),
])
def test_the_position_of_a_checkpoint(
    digits_dir, tmp_path, caplog, checkpoint, expected):
  params = short_runs.parameters(
      digits_dir, **{'task.train_data.global_batch_size': 10})
  task = _Task()
  block = data_position.enter(
      task, params, save(tmp_path / 'ckpt-1', **checkpoint), 2)
  assert task.entered == expected
  assert block == {
      'num_images': expected[0], 'num_batches': checkpoint['step'] +
      checkpoint.get('skipped', 0), 'batch_size': 10, 'order': {'seed': 3}}
  assert ('did not note' in caplog.text) == ('position' not in checkpoint)
