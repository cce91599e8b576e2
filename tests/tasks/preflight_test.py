"""Tests of the look at the data before anything is built."""

import gzip
import os
import pathlib
import re

import pytest
import records_for_tests
import tensorflow as tf

from official_ext.params import experiment
from official_ext.tasks import preflight


def check(*overrides):
  params = experiment.load(
      'funnel_vit_digits', params_override=','.join(overrides))
  preflight.check_files(params.task, ['train_data'])
  preflight.check_records(params.task, ['train_data'])


def write_and_check(path, records, *overrides):
  records_for_tests.write(path / 'train-00000-of-00001', records)
  check(f"task.data_dir='{path}'", *overrides)


def test_good_data_passes(digits_dir, tmp_path):
  check(f"task.data_dir='{digits_dir}'")
  write_and_check(tmp_path, [records_for_tests.example(9)])


def test_no_file_matches(tmp_path):
  with pytest.raises(ValueError, match=(
      r"task.train_data.input_path '.*train\*' matches no file. Give the path")
                     ):
    check(f"task.data_dir='{tmp_path}'")


def test_no_data_are_named():
  with pytest.raises(ValueError, match=(
      '^task.train_data names no data: task.data_dir, '
      'task.train_data.input_path and tfds_name are empty. Set task.data_dir='
      '/path/to/folder for shards named train-. and validation-.; . is the '
      'current folder.$')):
    check("task.data_dir=''")


def test_what_is_said_of_a_compression_that_a_file_has_not(tmp_path):
  path = tmp_path / 'train-00000-of-00001'
  records_for_tests.write(path, [records_for_tests.example(9)])
  with pytest.raises(ValueError, match=(
      'cannot be read as task.train_data.file_type=tfrecord_compressed '
      '.*: it is not compressed with gzip. Set '
      'task.train_data.file_type=tfrecord.$')):
    check(f"task.data_dir='{tmp_path}'",
          'task.train_data.file_type=tfrecord_compressed')
  path.write_bytes(gzip.compress(path.read_bytes()))
  with pytest.raises(ValueError, match=(
      ': it is compressed with gzip. Set '
      'task.train_data.file_type=tfrecord_compressed.$')):
    check(f"task.data_dir='{tmp_path}'")


def test_a_path_without_a_wildcard_must_be_a_file(tmp_path):
  for path in (tmp_path, tmp_path / 'missing'):
    with pytest.raises(ValueError, match='is not a file'):
      check(f"task.train_data.input_path='{path}'")


@pytest.mark.parametrize('label', [-1, 10, 1000])
def test_a_label_outside_the_classes(tmp_path, label):
  good = [records_for_tests.example(1)] * 20
  with pytest.raises(ValueError, match=(
      f'record 20 of .* has label {label} .*classes 0..9')):
    write_and_check(tmp_path, [*good, records_for_tests.example(label)])


def test_the_offset_counts(tmp_path):
  record = records_for_tests.example(10)
  write_and_check(tmp_path, [record], 'task.train_data.label_offset=-1')


def test_several_labels_are_those_of_a_setting(tmp_path):
  is_multilabel = 'task.train_data.is_multilabel=true'
  with pytest.raises(ValueError, match=(
      "record 0 of .* has 2 labels under 'image/class/label'. Set "
      f'{is_multilabel}, or')):
    write_and_check(tmp_path, [records_for_tests.example([0, 2])])
  settings = (is_multilabel, 'task.train_data.mixup_and_cutmix=null')
  write_and_check(tmp_path, [records_for_tests.example([0, 2])], *settings)
  # Model Garden would train without it.
  with pytest.raises(ValueError, match='has label 10 .*classes 0..9'):
    write_and_check(tmp_path, [records_for_tests.example([0, 10])], *settings)


def test_a_record_without_a_label(tmp_path):
  with pytest.raises(ValueError, match=(
      "no label under 'image/class/label'; its keys are image/encoded")):
    write_and_check(tmp_path, [records_for_tests.example(None)])


def test_a_label_under_another_key(tmp_path):
  record = records_for_tests.example(3, label_key='label')
  with pytest.raises(ValueError, match='keys are image/encoded, label'):
    write_and_check(tmp_path, [record])
  write_and_check(tmp_path, [record], "task.train_data.label_field_key='label'")


def test_a_record_without_an_image(tmp_path):
  with pytest.raises(ValueError, match="no image under 'image/encoded'"):
    write_and_check(tmp_path, [records_for_tests.example(3, image=b'')[:0]])


def test_an_image_that_the_pipeline_cannot_decode(tmp_path):
  png = records_for_tests.example(3, records_for_tests.encode('PNG'))
  write_and_check(tmp_path, [png])  # No random crop: any format will do.
  with pytest.raises(ValueError, match='is not a JPEG'):
    write_and_check(tmp_path, [png], 'task.train_data.aug_crop=True')
  write_and_check(tmp_path, [png], 'task.train_data.aug_crop=True',
                  'task.train_data.decode_jpeg_only=False')


@pytest.mark.parametrize('content', [b'these are no records', b'\0' * 100])
def test_a_file_that_is_no_tfrecord(tmp_path, content):
  (tmp_path / 'train-00000').write_bytes(content)
  with pytest.raises(ValueError, match=(
      'record 0 of .*train-00000 is damaged, or the file holds no TFRecords')):
    check(f"task.data_dir='{tmp_path}'")


@pytest.mark.parametrize('image', [
    b'no image', b'\xff\xd8\xff no image', records_for_tests.encode()[:100]])
def test_an_image_that_cannot_be_decoded(tmp_path, image):
  with pytest.raises(ValueError, match=(
      r'record 0 of .* holds an image that cannot be decoded \(\S')):
    write_and_check(tmp_path, [records_for_tests.example(3, image)])


def test_gzip_is_named(tmp_path):
  path = records_for_tests.write(
      tmp_path / 'records', [records_for_tests.example(3)])
  (tmp_path / 'train-00000-of-00001').write_bytes(
      gzip.compress(pathlib.Path(path).read_bytes()))
  with pytest.raises(ValueError, match='file_type=tfrecord_compressed'):
    check(f"task.data_dir='{tmp_path}'")
  check(f"task.data_dir='{tmp_path}'",
        "task.train_data.file_type='tfrecord_compressed'")


def test_a_record_that_is_no_example(tmp_path):
  good = records_for_tests.example(3)
  with pytest.raises(ValueError, match=(
      '^task.train_data: record 1 of .*train-00000-of-00001 is damaged '
      r'\(Error parsing message')):
    write_and_check(tmp_path, [good, b'\xff\xff\xff\xff'])


def test_a_flipped_byte_is_named_by_its_record(tmp_path):
  path = tmp_path / 'train-00000-of-00001'
  records_for_tests.write(path, [records_for_tests.example(3)] * 4)
  contents = bytearray(path.read_bytes())
  contents[len(contents) * 5 // 8] ^= 1
  path.write_bytes(contents)
  with pytest.raises(ValueError) as found:
    check(f"task.data_dir='{tmp_path}'")
  assert re.fullmatch(
      rf'task.train_data: record 2 of {path} is damaged \(corrupted record at '
      r'\d+\). Copy the file anew, or convert the data again.',
      str(found.value))


def test_a_file_that_may_not_be_read(tmp_path):
  path = tmp_path / 'train-00000'
  records_for_tests.write(path, [records_for_tests.example(3)])
  error = tf.errors.PermissionDeniedError(None, None, f'{path}; denied')
  data = experiment.load('funnel_vit_digits').task.train_data
  assert preflight.damaged(str(path), 0, data, 'task.train_data', error) == (
      f'task.train_data: {path} cannot be read ({path}; denied). Let this user '
      'read it, or name another.')


def test_an_empty_file(tmp_path):
  with pytest.raises(ValueError, match='hold no record'):
    write_and_check(tmp_path, [])


def test_a_large_data_set_is_sampled(tmp_path, monkeypatch):
  monkeypatch.setattr(preflight, '_READ_WHOLE_BYTES', 0)
  limit = preflight._SAMPLED_RECORDS_PER_FILE
  good = [records_for_tests.example(1)] * limit
  # Beyond the sample; the input pipeline finds it when it gets there.
  write_and_check(tmp_path, [*good, records_for_tests.example(99)])
  with pytest.raises(ValueError, match='has label 99'):
    write_and_check(tmp_path, [*good[1:], records_for_tests.example(99)])


def test_a_file_that_was_cut_is_named(tmp_path, monkeypatch, caplog):
  monkeypatch.setattr(preflight, '_READ_WHOLE_BYTES', 0)
  monkeypatch.setattr(preflight, '_SAMPLED_RECORDS_PER_FILE', 1)
  paths = [records_for_tests.write(
      tmp_path / f'train-{number}', [records_for_tests.example(1)] * 2)
           for number in range(2)]
  task = experiment.load('funnel_vit_digits', params_override=(
      f"task.data_dir='{tmp_path}',task.train_data.num_examples=4,"
      'task.train_data.global_batch_size=2')).task

  def check(**how):
    preflight.check_records(task, ['train_data'], **how)

  check(follows_epochs=True)
  whole = os.path.getsize(paths[1])
  os.truncate(paths[1], whole - 1)
  with pytest.raises(ValueError, match=(
      f'^task.train_data: {paths[1]} ends within record 1: it was cut, or')):
    check()
  # Between two records, where the number of images tells it.
  os.truncate(paths[1], whole // 2)
  check()
  with pytest.raises(ValueError, match='num_examples is 4, .*hold 3 images'):
    check(follows_epochs=True)
  os.truncate(paths[1], 0)
  assert 'holds no record' not in caplog.text
  check()
  assert f'task.train_data: {paths[1]} holds no record' in caplog.text


@pytest.mark.parametrize('overrides, message', [
    (["task.train_data.tfds_name='mnist'"],
     "'mnist', but Model Garden reads only cifar10, cifar100, imagenet2012"),
    (["task.train_data.tfds_name='cifar10'"], 'tfds_split is empty'),
])
def test_tfds_settings(overrides, message):
  with pytest.raises(ValueError, match=message):
    check("task.data_dir=''", *overrides)


def test_a_record_is_counted_in_its_file(tmp_path):
  good, bad = (records_for_tests.example(label) for label in (3, 10))
  for name, records in (('train-0', [good] * 3), ('train-1', [good, bad])):
    records_for_tests.write(tmp_path / name, records)
  with pytest.raises(ValueError, match=f'record 1 of {tmp_path}/train-1 has'):
    check(f"task.data_dir='{tmp_path}'")
