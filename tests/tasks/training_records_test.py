"""Training images, each once an epoch, wherever a training begins."""

import collections
import shutil

from official.core import task_factory
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.configs import image_classification as configs
from official_ext.params import experiment
from official_ext.tasks import record_counts
from official_ext.tasks import training_records

COUNTS = (5, 7, 3, 9, 4, 6, 8)
NUM_IMAGES = sum(COUNTS)
BATCH = 6
DATA = 'task.train_data'


@pytest.fixture(name='folder', scope='module')
def _folder(tmp_path_factory):
  """Images that are told apart by their labels."""
  folder = tmp_path_factory.mktemp('records')
  first = 0
  for number, count in enumerate(COUNTS):
    records_for_tests.write(folder / f'train-{number:05d}', [
        records_for_tests.example(label)
        for label in range(first, first + count)])
    first += count
  return folder


def labels(folder, num_batches, position=0, num_workers=1, worker=0,
           known=None, **settings):
  settings = {
      'seed': 5, 'shuffle_buffer_size': 12, 'input_path': f'{folder}/train*',
      'num_examples': NUM_IMAGES, 'global_batch_size': BATCH} | settings
  params = experiment.load('vit_imagenet', params_override=','.join([
      "task.data_dir=''", 'task.model.input_size=[16,16,3]',
      'task.model.num_classes=100', *(
          f'{DATA}.{name}={value!r}' for name, value in settings.items())]))
  task = task_factory.get_task(params.task)
  task.enter_data(position, known or {}, num_workers)
  dataset = task.build_inputs(
      params.task.train_data, tf.distribute.InputContext(
          num_workers, worker, num_workers))
  return [int(label) for _, batch in dataset.take(num_batches)
          for label in batch]


@pytest.mark.slow
@pytest.mark.parametrize('settings', [
    {}, pytest.param({'cache': True}, marks=pytest.mark.long),
    pytest.param({'repeated_augment': 2}, marks=pytest.mark.long)], ids=str)
def test_a_training_goes_on_where_it_was(folder, settings):
  repeats = settings.get('repeated_augment', 1)
  epoch = NUM_IMAGES * repeats
  found = labels(folder, 2 * epoch // BATCH, **settings)
  assert collections.Counter(found[:epoch]) == collections.Counter(
      list(range(NUM_IMAGES)) * repeats)
  assert found[:epoch] != found[epoch:]
  assert labels(folder, 3, position=epoch - BATCH, **settings) == (
      found[epoch - BATCH:][:3 * BATCH])


@pytest.mark.long
def test_workers_share_every_epoch(folder):
  whole = labels(folder, 15)
  # 14 images by one worker, 24 by two, the rest by three.
  found = labels(folder, 1, global_batch_size=14)
  for num_workers, batch_size, position, num_batches in (
      (2, 8, 14, 3), (3, 6, 38, 8)):
    for worker in range(num_workers):
      found += labels(folder, num_batches, position=position,
                      num_workers=num_workers, worker=worker,
                      global_batch_size=batch_size)
  assert sorted(found[:38]) == sorted(whole[:38])
  assert collections.Counter(found) == collections.Counter(
      {label: 2 for label in range(NUM_IMAGES)}) + collections.Counter(
          whole[84:86])


@pytest.mark.long
@pytest.mark.parametrize('settings', [
    {'cache': True}, {'repeated_augment': 2}], ids=str)
def test_workers_share_an_epoch(folder, settings):
  repeats = settings.get('repeated_augment', 1)
  found = [label for worker in range(2) for label in labels(
      folder, NUM_IMAGES * repeats // BATCH, num_workers=2, worker=worker,
      **settings)]
  assert collections.Counter(found) == collections.Counter(
      list(range(NUM_IMAGES)) * repeats)


def test_counts_are_kept_in_the_folder_of_a_training(tmp_path):
  """What was read once is taken from there, not counted again."""
  path = str(tmp_path / 'train-0')
  with tf.io.TFRecordWriter(path, 'GZIP') as writer:
    for label in range(3):
      writer.write(records_for_tests.example(label))
  params = experiment.load('vit_imagenet', params_override=','.join([
      "task.data_dir=''", f"{DATA}.input_path='{path}'",
      f'{DATA}.file_type=tfrecord_compressed']))

  def num_records():
    task = task_factory.get_task(params.task)
    task.check_records(['train_data'], model_dir=str(tmp_path))
    task.save_data_description(str(tmp_path))
    return task.enter_data(0, {}, 1)['num_records']

  assert num_records() == 3
  kept = tmp_path / record_counts.FILE
  kept.write_text(kept.read_text().replace(' 3', ' 9'))
  assert num_records() == 9


@pytest.mark.slow
def test_a_file_that_goes_or_comes_after_it_was_counted(folder, tmp_path):
  for path in folder.iterdir():
    shutil.copy(path, tmp_path)
  data = configs.DataConfig(
      input_path=f'{tmp_path}/train*', is_training=True, seed=5,
      shuffle_buffer_size=12)
  start = training_records.enter(data)

  def last_record():
    reading = training_records.read(
        data, lambda record: {'record': record}, start,
        tf.distribute.InputContext())
    return next(iter(reading.dataset.skip(NUM_IMAGES - 1)))[1].numpy()

  before = last_record()
  shutil.copy(tmp_path / 'train-00000', tmp_path / 'train-0')
  assert last_record() == before
  (tmp_path / 'train-00003').unlink()
  with pytest.raises(tf.errors.NotFoundError, match=f'{tmp_path}/train-00003;'):
    last_record()


@pytest.mark.parametrize('settings, source', [
    ({'tfds_name': 'cifar10'}, 'TFDS'),
    ({'enable_tf_data_service': True}, 'the tf.data service')])
def test_what_has_no_order_is_told_at_every_start(caplog, settings, source):
  data = configs.DataConfig(seed=1, **settings)
  for position, what in (
      (0, 'A run that is interrupted begins its epoch anew.'),
      (7, 'The epoch begins anew: of its images, some are seen twice and some '
       'not.')):
    caplog.clear()
    assert training_records.enter(data, position) == training_records.Start(
        1, None, position)
    assert caplog.messages == [
        f'task.train_data: {source} has no order that can be entered. {what}']
