"""Tests of what the input benchmark counts; none of it is timed."""

import os

import input_shards
import numpy as np
from official.core import task_factory
import pytest
import tensorflow as tf

from official_ext.benchmarks import input_rows
from official_ext.params import experiment


def load(override=input_shards.OVERRIDE):
  return experiment.load('funnel_vit_imagenet', params_override=override)


def make_source(data_dir, split='train', override=input_shards.OVERRIDE):
  return input_rows.Source(
      load(override).task, str(data_dir), split, input_shards.BATCH_SIZE)


ROWS = [*input_rows.stages()[:3], input_rows.Row('one thread', threads=1),
        input_rows.Row('cache', {'cache': True})]


# Every row once, and every count of images, which in validation is another
# with the cache.
@pytest.mark.slow
@pytest.mark.parametrize('split, row', [
    pytest.param(split, row, id=f'{split}-{row.name}', marks=() if (
        (split == 'train') != (row.name in ('cache', 'one thread')))
                 else pytest.mark.long)
    for split in ('train', 'validation') for row in ROWS])
def test_images_are_counted(data_dir, split, row):
  window = input_rows.measure(
      make_source(data_dir, split), row, warm_up_seconds=0, num_images=31)
  # After a warm-up of one batch, or of a pass for the cache. In evaluation
  # every fourth batch holds three images.
  is_filled = 'cache' in row.settings
  assert window.num_images == {
      ('train', False): 32, ('train', True): 32,
      ('validation', False): 3 * 4 + 3 + 3 * 4 + 3 + 4,
      ('validation', True): 2 * 15 + 4}[split, is_filled]
  assert window.seconds > 0 and window.first_batch_seconds > 0


@pytest.mark.long
def test_a_window_by_time_has_whole_batches(data_dir):
  window = input_rows.measure(
      make_source(data_dir), input_rows.Row(input_rows.PIPELINE),
      warm_up_seconds=0, seconds=0)
  assert window.num_images == input_shards.BATCH_SIZE


def test_the_source_knows_its_files(data_dir):
  source = make_source(data_dir, 'validation')
  assert len(source.files) == input_shards.NUM_FILES
  assert all('/validation-' in file for file in source.files)
  assert source.num_images == input_shards.NUM_RECORDS
  assert source.num_bytes == sum(map(os.path.getsize, source.files))


def test_images_of_many_files_are_extrapolated(data_dir, monkeypatch):
  monkeypatch.setattr(
      input_rows, '_COUNTED_IMAGES', input_shards.RECORDS_PER_FILE)
  source = make_source(data_dir)
  assert source.num_images == input_shards.NUM_RECORDS
  # Only what was counted fills the cache.
  cached = source.settings(input_rows.Row('cache', {'cache': True}))
  assert cached.input_path == source.files[:1]


@pytest.mark.slow
def test_the_pipeline_is_the_tasks_own(data_dir):
  source = make_source(data_dir, 'validation')
  params = load(f"{input_shards.OVERRIDE},task.data_dir='{data_dir}',"
                f'task.validation_data.global_batch_size={input_shards.BATCH_SIZE}')
  task = task_factory.get_task(params.task)
  expected = list(task.build_inputs(params.task.validation_data))
  taken = source.build(input_rows.Row(input_rows.PIPELINE)).take(8)
  for index, (images, (labels, weights)) in enumerate(taken):
    # The second pass is as the first.
    wanted, (wanted_labels, wanted_weights) = expected[index % 4]
    np.testing.assert_array_equal(images, wanted)
    np.testing.assert_array_equal(labels, wanted_labels)
    np.testing.assert_array_equal(weights, wanted_weights)


def test_stages_read_and_decode_every_record(data_dir):
  source = make_source(data_dir, 'validation')
  read = np.concatenate([batch.numpy() for batch in source.build(
      input_rows.Row(input_rows.READING)).take(4)])
  written = [record for file in source.files
             for record in tf.data.TFRecordDataset(file).as_numpy_iterator()]
  assert sorted(read) == sorted(written)
  pixels = np.concatenate([batch.numpy() for batch in source.build(
      input_rows.Row(input_rows.DECODING)).take(4)])
  expected = [(10 * number, 0, 250)
              for number in range(input_shards.RECORDS_PER_FILE)]
  np.testing.assert_allclose(
      sorted(pixels.tolist()), sorted(input_shards.NUM_FILES * expected),
      atol=5)


@pytest.mark.long
def test_variants_change_one_setting_each(data_dir):
  source = make_source(data_dir)
  rows = input_rows.variants(source.data)
  assert {name for row in rows for name in row.settings} == set(
      input_rows.SETTINGS)
  before = source.data.as_dict()
  for row in rows:
    after = source.settings(row).as_dict()
    changed = {key for key in before if before[key] != after[key]}
    name, = row.settings
    assert changed - {'input_path'} == {name}, row.name
    assert ('input_path' in changed) == (name == 'cache')
  assert source.build(rows[0]).element_spec[0].dtype == tf.float32
  bfloat16 = next(row for row in rows if row.name == 'dtype=bfloat16')
  assert source.build(bfloat16).element_spec[0].dtype == tf.bfloat16


def test_variants_are_what_the_experiment_has_not():
  def names(override, *chosen):
    return [row.name for row in input_rows.variants(
        load(override).task.train_data, chosen)]

  resize = 'task.train_data.tf_resize_method=area,'
  assert names(resize, 'tf_resize_method', 'cache') == [
      'tf_resize_method=bilinear', 'tf_resize_method=bicubic',
      'tf_resize_method=nearest', 'cache=true']
  recipe = resize + 'task.train_data.aug_type.type=autoaug'
  assert names(recipe, 'aug_type') == ['aug_type=null']
  assert names(resize) == []


def test_training_settings_are_not_varied_in_evaluation():
  rows = input_rows.variants(load().task.validation_data)
  assert {name for row in rows for name in row.settings} == set(
      input_rows.SETTINGS) - {
          'shuffle_buffer_size', 'aug_type', 'mixup_and_cutmix'}


def test_an_unknown_variant():
  with pytest.raises(ValueError, match="'colour' is not varied; use decode_j"):
    input_rows.variants(load().task.train_data, ['colour'])


def test_windows_take_turns():
  assert input_rows.turns(['a', 'b', 'c'], 3) == [*'abccbaabc']
