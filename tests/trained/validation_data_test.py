"""Tests of reading the validation set beside its image files."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.trained import trained_model
from official_ext.trained import validation_data


@pytest.fixture(name='trained', scope='module')
def _trained(trained_dir):
  return trained_model.find(trained_dir)


@pytest.mark.slow
def test_batches_are_those_of_the_evaluation(trained):
  batches = list(validation_data.read_records(trained, None, 40))
  assert [len(batch.labels) for batch in batches] == [32, 8]
  for batch in batches:
    assert batch.images.shape[1:] == (16, 16, 3)
    assert batch.images.dtype == np.float32
    # The files themselves come along, as large as they are.
    assert tf.io.decode_image(batch.encoded[0]).shape == (8, 8, 3)
  labels = np.concatenate([batch.labels for batch in batches])
  data = trained.params.task.validation_data
  paths = sorted(tf.io.gfile.glob(data.input_path))
  features = {'image/class/label': tf.io.FixedLenFeature([], tf.int64)}
  expected = [
      int(tf.io.parse_single_example(record, features)['image/class/label'])
      for record in tf.data.TFRecordDataset(paths).take(40)]
  assert labels.tolist() == expected


@pytest.mark.slow
def test_the_offset_of_tfds_is_not_that_of_records(trained):
  data = trained.params.task.validation_data
  of_tfds = dataclasses.replace(trained, params=trained.params.replace(
      task={'validation_data': {'input_path': '', 'label_offset': 1,
                                'tfds_name': 'imagenet2012'}}))
  expected, found = (
      next(validation_data.read_records(model, data.input_path, 7)).labels
      for model in (trained, of_tfds))
  assert found.tolist() == expected.tolist()


def test_where_there_is_nothing_to_read(trained, tmp_path):
  with pytest.raises(ValueError, match="no file matches '.*nothing'. Name"):
    next(validation_data.read_records(trained, f'{tmp_path}/nothing', None))
  empty = tmp_path / 'empty.tfrecord'
  empty.write_bytes(b'')
  with pytest.raises(ValueError, match='there is no record in'):
    next(validation_data.read_records(trained, str(empty), None))
  without = dataclasses.replace(trained, params=trained.params.replace(
      task={'validation_data': {'input_path': ''}}))
  with pytest.raises(ValueError, match='are no TFRecords. Name some'):
    next(validation_data.read_records(without, None, None))


def test_a_shard_that_was_cut(trained, tmp_path):
  folder = os.path.dirname(trained.params.task.validation_data.input_path)
  folder = shutil.copytree(folder, tmp_path / 'digits')
  pattern = f'{folder}/validation*'
  first, = folder.glob('validation*')
  (folder / 'manifest.json').write_text(json.dumps({'splits': {'validation': {
      'shards': [{'name': first.name, 'num_bytes': first.stat().st_size,
                  'num_images': 360}]}}}))
  assert next(validation_data.read_records(trained, pattern, 1)).labels.size
  first.write_bytes(first.read_bytes()[:-1])
  with pytest.raises(ValueError, match=f'--data: {first} has .* bytes, but by'):
    next(validation_data.read_records(trained, pattern, None))


def test_a_label_of_no_class_of_the_model(trained, tmp_path):
  path = records_for_tests.write(
      tmp_path / 'validation', [records_for_tests.example(10)])
  names = tmp_path / 'class_names.txt'
  names.write_text('\n'.join('0123456789') + '\n')
  with pytest.raises(ValueError, match='--data: a record has label 10, but'):
    next(validation_data.read_records(trained, path, None))
  names.write_text('\n'.join([*'0123456789', 'fox']) + '\n')
  with pytest.raises(ValueError, match="'fox'"):
    next(validation_data.read_records(trained, path, None))


def reading(trained, data):
  """The model, with other settings of its data."""
  return dataclasses.replace(
      trained, data={}, params=trained.params.replace(task=data))


def test_compressed_records(trained, tmp_path):
  path = str(tmp_path / 'validation')
  with tf.io.TFRecordWriter(path, 'GZIP') as writer:
    for label in (3, 5):
      writer.write(records_for_tests.example(label))
  compressed = reading(trained, {'validation_data': {
      'file_type': 'tfrecord_compressed'}})
  batch, = validation_data.read_records(compressed, path, None)
  assert batch.labels.tolist() == [3, 5]


def test_several_labels_per_image(trained, tmp_path):
  several = reading(trained, {'train_data': {'is_multilabel': True}})
  path = records_for_tests.write(tmp_path / 'validation', [
      records_for_tests.example(labels) for labels in ([0, 9], [2])])
  batch, = validation_data.read_records(several, path, None)
  assert [np.flatnonzero(row).tolist() for row in batch.labels] == [[0, 9], [2]]
  assert batch.labels.max() == 1
  path = records_for_tests.write(
      tmp_path / 'other', [records_for_tests.example([1, 10])])
  with pytest.raises(ValueError, match='--data: a record has label 10, but'):
    next(validation_data.read_records(several, path, None))
