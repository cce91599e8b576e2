"""The record: its keys, its label convention, the names of its shards.

This is the layout that Model Garden's ImageNet experiments read: one
`tf.train.Example` per image, JPEG bytes untouched, shards named
`train-00000-of-01024`. Labels of ImageNet are 1..1000 (0 is background); those
of any other data set count from 0. Images without a label have -1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import dataclasses
import os

from . import png_structure
from . import storage
from . import tfrecord_file

CLASS_NAMES_FILE = 'class_names.txt'
NO_LABEL = -1
SPLITS = ('train', 'validation', 'test')


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

  def serialize(self) -> bytes:
    """Returns the record as it is written: a serialized tf.train.Example."""
    return tfrecord_file.serialize_example({
        'image/height': self.height,
        'image/width': self.width,
        # What the pipeline decodes to, whatever the file holds.
        'image/colorspace': b'RGB',
        'image/channels': 3,
        'image/format': b'JPEG',
        # A name on disk need not be UTF-8.
        'image/filename': os.fsencode(self.file_name),
        'image/encoded': self.encoded,
        'image/class/label': self.label,
        'image/class/synset': self.synset.encode(),
        'image/class/text': self.class_name.encode(),
    })


@dataclasses.dataclass(frozen=True)
class PairRecord:
  """One image with its mask, in Model Garden's convention of segmentation.

  Attributes:
    encoded: the bytes of a JPEG or PNG file.
    mask: those of a PNG file of 8 bits, gray: the class of every pixel.
    file_name: where the image came from; no other image of the split has it.
    height: px, of both.
    width: px, of both.
  """
  encoded: bytes
  mask: bytes
  file_name: str
  height: int
  width: int

  def serialize(self) -> bytes:
    """Returns the record as it is written: a serialized tf.train.Example."""
    name = os.fsencode(self.file_name)
    is_png = self.encoded.startswith(png_structure.START)
    return tfrecord_file.serialize_example({
        'image/height': self.height,
        'image/width': self.width,
        'image/format': b'PNG' if is_png else b'JPEG',
        'image/filename': name,
        'image/source_id': name,
        'image/encoded': self.encoded,
        'image/segmentation/class/encoded': self.mask,
        'image/segmentation/class/format': b'PNG',
    })


def shard_name(split: str, index: int, num_shards: int) -> str:
  """Returns the name of a shard, such as 'train-00000-of-01024'."""
  return f'{split}-{index:05d}-of-{num_shards:05d}'


def write_shard(path: str, records: Iterable[ImageRecord | PairRecord]
                ) -> tfrecord_file.WrittenFile:
  """Writes one shard; it appears under its name only when it is complete.

  Args:
    path: where the shard goes; an existing one is replaced.
    records: its records, in order.

  Returns:
    What was written.
  """
  writer = tfrecord_file.Writer(path)
  try:
    for record in records:
      writer.write(record.serialize())
    return writer.finish()
  finally:
    writer.discard()


def check_no_other_count(output_dir: str, split: str, num_shards: int) -> None:
  """Checks that a folder holds no shards of a split with another count.

  Args:
    output_dir: folder of the shards.
    split: such as 'train'.
    num_shards: how many shards of the split belong there.

  Raises:
    ValueError: if there are others: a glob would read both.
  """
  names = {shard_name(split, index, num_shards) for index in range(num_shards)}
  for name in storage.list_names(output_dir, f'{split}-*'):
    if name not in names:
      raise ValueError(
          f'{output_dir} already holds {name}, which is no shard of '
          f'{num_shards}, and the input pipeline would read it too. Remove it, '
          'or choose another --output_dir.')


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
      with another count are in the folder.
  """
  if not 1 <= num_shards <= len(records):
    raise ValueError(
        f'{split}: {len(records)} images cannot be dealt out to {num_shards} '
        f'shards. Choose 1 to {len(records)}.')
  check_no_other_count(output_dir, split, num_shards)
  paths = [os.path.join(output_dir, shard_name(split, index, num_shards))
           for index in range(num_shards)]
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
  storage.write_bytes(
      path, ''.join(f'{name}\n' for name in class_names).encode())
  return path
