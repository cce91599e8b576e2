"""Tests of TFRecord files without TensorFlow: they are TensorFlow's."""

import hashlib
import subprocess
import sys

import hypothesis
from hypothesis import strategies
import pytest
import tensorflow as tf

from data_prep import tfrecord_file

# None begins another: those the library itself puts in the reverse order.
KEYS = strategies.text('ab/\u00fc', min_size=3, max_size=3)
VALUES = strategies.one_of(
    strategies.integers(-2**63, 2**63 - 1), strategies.binary(max_size=300))


def by_tensorflow(features):
  example = tf.train.Example()
  for key, value in features.items():
    if isinstance(value, bytes):
      example.features.feature[key].bytes_list.value.append(value)
    else:
      example.features.feature[key].int64_list.value.append(value)
  return example.SerializeToString(deterministic=True)


@hypothesis.given(strategies.dictionaries(KEYS, VALUES, max_size=12))
@hypothesis.settings(deadline=None, max_examples=200)
def test_a_record_is_what_tensorflow_serializes(features):
  assert tfrecord_file.serialize_example(features) == by_tensorflow(features)


def test_a_file_is_what_tensorflow_writes(tmp_path):
  contents = [b'', b'a', b'\xff' * 70_000, bytes(range(256))]
  writer = tfrecord_file.Writer(str(tmp_path / 'ours'))
  with tf.io.TFRecordWriter(str(tmp_path / 'theirs')) as reference:
    for content in contents:
      writer.write(content)
      reference.write(content)
  written = writer.finish()
  data = (tmp_path / 'ours').read_bytes()
  assert data == (tmp_path / 'theirs').read_bytes()
  assert written == tfrecord_file.WrittenFile(
      4, len(data), hashlib.sha256(data).hexdigest())


def test_a_file_appears_when_it_is_complete(tmp_path):
  writer = tfrecord_file.Writer(str(tmp_path / 'train-00000-of-00001'))
  writer.write(b'a')
  assert [path.name for path in tmp_path.iterdir()] == [
      '.unfinished-train-00000-of-00001']
  writer.finish()
  assert [path.name for path in tmp_path.iterdir()] == ['train-00000-of-00001']


def test_a_file_can_be_discarded(tmp_path):
  writer = tfrecord_file.Writer(str(tmp_path / 'train'))
  writer.write(b'a')
  writer.discard()
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('module', [
    'shards', 'process_pool', 'imagenet_to_tfrecord'])
def test_moving_bytes_does_not_import_tensorflow(repository, module):
  code = (f'import sys; from data_prep import {module}; '
          'sys.exit("tensorflow" in sys.modules)')
  assert subprocess.run(
      [sys.executable, '-c', code], cwd=repository, check=False).returncode == 0
