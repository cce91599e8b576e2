"""Tests of the record and its shards."""

import pytest
import tensorflow as tf

from data_prep import records


def record(label):
  return records.ImageRecord(
      encoded=b'\xff\xd8 image', label=label, class_name=f'class {label}',
      file_name=f'{label}.JPEG', height=3, width=4, synset='n01440764')


def read(path):
  return [tf.train.Example.FromString(item)
          for item in tf.data.TFRecordDataset(path).as_numpy_iterator()]


def test_the_keys_of_the_imagenet_convention():
  example = tf.train.Example.FromString(record(7).serialize())
  feature = example.features.feature
  assert set(feature) == {
      'image/height', 'image/width', 'image/colorspace', 'image/channels',
      'image/format', 'image/filename', 'image/encoded', 'image/class/label',
      'image/class/synset', 'image/class/text'}
  assert feature['image/height'].int64_list.value == [3]
  assert feature['image/width'].int64_list.value == [4]
  assert feature['image/class/label'].int64_list.value == [7]
  assert feature['image/encoded'].bytes_list.value == [b'\xff\xd8 image']
  assert feature['image/class/text'].bytes_list.value == [b'class 7']
  assert feature['image/class/synset'].bytes_list.value == [b'n01440764']
  assert feature['image/filename'].bytes_list.value == [b'7.JPEG']


def test_shard_names():
  assert records.shard_name('train', 0, 1024) == 'train-00000-of-01024'
  assert records.shard_name('validation', 127, 128) == (
      'validation-00127-of-00128')


def test_records_are_dealt_out_to_shards(tmp_path):
  paths = records.write_split(
      str(tmp_path), 'train', [record(label) for label in range(7)], 3)
  labels = [[item.features.feature['image/class/label'].int64_list.value[0]
             for item in read(path)] for path in paths]
  assert labels == [[0, 3, 6], [1, 4], [2, 5]]
  # Nothing unfinished is left over.
  assert sorted(path.name for path in tmp_path.iterdir()) == [
      f'train-{index:05d}-of-00003' for index in range(3)]


def test_writing_again_gives_the_same_bytes(tmp_path):
  written = []
  for _ in range(2):
    path, = records.write_split(str(tmp_path), 'train', [record(1)] * 5, 1)
    with open(path, 'rb') as file:
      written.append(file.read())
  assert written[0] == written[1]


def test_shards_of_another_count_are_not_mixed_in(tmp_path):
  images = [record(label) for label in range(4)]
  records.write_split(str(tmp_path), 'train', images, 2)
  with pytest.raises(ValueError, match='already holds train-00000-of-00002'):
    records.write_split(str(tmp_path), 'train', images, 4)


@pytest.mark.parametrize('num_shards', [0, 3])
def test_a_shard_holds_at_least_one_record(tmp_path, num_shards):
  with pytest.raises(ValueError, match='2 images cannot be dealt out'):
    records.write_split(str(tmp_path), 'train', [record(1)] * 2, num_shards)


def test_an_interrupted_shard_does_not_appear(tmp_path):
  def broken():
    yield record(1)
    raise OSError('disk full')
  with pytest.raises(OSError):
    records.write_shard(str(tmp_path / 'train-00000-of-00001'), broken())
  assert not list(tmp_path.glob('train*'))


def test_class_names(tmp_path):
  path = records.write_class_names(str(tmp_path), ['zero', 'one'])
  assert path.endswith('class_names.txt')
  assert (tmp_path / 'class_names.txt').read_text() == 'zero\none\n'
