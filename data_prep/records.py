"""The record: its keys, its label convention, the names of its shards.

This is the layout that Model Garden's ImageNet experiments read: one
`tf.train.Example` an image, JPEG bytes untouched, shards named
`train-00000-of-01024`. Labels of ImageNet are 1..1000 (0 is background); those
of any other data set count from 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import dataclasses
import os

import tensorflow as tf

CLASS_NAMES_FILE = 'class_names.txt'


@dataclasses.dataclass(frozen=True)
class ImageRecord:
  """One labelled image.

  Attributes:
    encoded: the bytes of a JPEG file.
    label: class index.
    class_name: readable name of the class.
    file_name: where the image came from.
    height: px.
    width: px.
    synset: WordNet identifier of the class, or an empty string.
  """
  encoded: bytes
  label: int
  class_name: str
  file_name: str
  height: int
  width: int
  synset: str = ''

  def to_example(self) -> tf.train.Example:
    """The record as it is written."""
    return tf.train.Example(features=tf.train.Features(feature={
        'image/height': _int64(self.height),
        'image/width': _int64(self.width),
        'image/colorspace': _bytes(b'RGB'),
        'image/channels': _int64(3),
        'image/format': _bytes(b'JPEG'),
        'image/filename': _bytes(self.file_name.encode()),
        'image/encoded': _bytes(self.encoded),
        'image/class/label': _int64(self.label),
        'image/class/synset': _bytes(self.synset.encode()),
        'image/class/text': _bytes(self.class_name.encode()),
    }))


def shard_name(split: str, index: int, num_shards: int) -> str:
  """The name of a shard, such as 'train-00000-of-01024'."""
  return f'{split}-{index:05d}-of-{num_shards:05d}'


def write_shard(path: str, records: Iterable[ImageRecord]) -> int:
  """Writes one shard; it appears under its name only when it is complete.

  Args:
    path: where the shard goes; an existing one is replaced.
    records: its records, in order.

  Returns:
    The number of records written.
  """
  folder, name = os.path.split(path)
  # The leading dot keeps it out of the globs 'train*' and 'valid*'.
  unfinished = os.path.join(folder, f'.unfinished-{name}')
  count = 0
  with tf.io.TFRecordWriter(unfinished) as writer:
    for record in records:
      # Deterministic, so that the same images give the same bytes.
      writer.write(record.to_example().SerializeToString(deterministic=True))
      count += 1
  tf.io.gfile.rename(unfinished, path, overwrite=True)
  return count


def write_split(output_dir: str, split: str, records: Sequence[ImageRecord],
                num_shards: int) -> list[str]:
  """Deals the records of a split out to its shards, one by one.

  Args:
    output_dir: folder of the shards.
    split: 'train' or 'validation'.
    records: all records of the split.
    num_shards: how many shards.

  Returns:
    The paths of the shards.

  Raises:
    ValueError: if there are fewer records than shards, or shards of the split
      with another count are in the folder: a glob would read both.
  """
  if not 1 <= num_shards <= len(records):
    raise ValueError(
        f'{split}: {len(records)} images cannot be dealt out to {num_shards} '
        f'shards. Choose 1 to {len(records)}.')
  names = [shard_name(split, index, num_shards) for index in range(num_shards)]
  strangers = sorted(
      os.path.basename(path)
      for path in tf.io.gfile.glob(os.path.join(output_dir, f'{split}-*'))
      if os.path.basename(path) not in names)
  if strangers:
    raise ValueError(
        f'{output_dir} already holds {strangers[0]}, which is no shard of '
        f'{num_shards}, and the input pipeline would read it too. Remove it, '
        'or choose another --output_dir.')
  paths = [os.path.join(output_dir, name) for name in names]
  for index, path in enumerate(paths):
    write_shard(path, records[index::num_shards])
  return paths


def write_class_names(output_dir: str, class_names: Sequence[str]) -> str:
  """Writes the class names, line i naming class i.

  Args:
    output_dir: folder of the file.
    class_names: the names, by class index.

  Returns:
    The path of the file.
  """
  path = os.path.join(output_dir, CLASS_NAMES_FILE)
  with tf.io.gfile.GFile(path, 'w') as file:
    file.write(''.join(f'{name}\n' for name in class_names))
  return path


def _int64(value: int) -> tf.train.Feature:
  return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _bytes(value: bytes) -> tf.train.Feature:
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
