"""Compares shards with their manifest, and decodes every record.

Three checks, none of which trusts the other: the files against the SHA-256 in
the manifest; every label against the class that the record names; every
image through the decoder and parser of Model Garden's training pipeline.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping
import concurrent.futures
import os
from typing import Any

from official.vision.dataloaders import classification_input
import tensorflow as tf

from . import images
from . import manifest as manifests
from . import mask_verification
from . import record_errors
from . import records
from . import shards as shards_lib
from . import storage

# The crops are decoded whole whatever they are resized to.
_IMAGE_SIZE = 32
_SYNSET, _TEXT = 'image/class/synset', 'image/class/text'


def verify(output_dir: str, report: Callable[[int, int], None],
           note: Callable[[str], None] = lambda text: None) -> Iterator[str]:
  """Verifies a finished conversion.

  Args:
    output_dir: folder of the shards.
    report: called with the number of images that were decoded, and in all.
    note: called with what a person should know, though it is no fault.

  Yields:
    What is wrong, one line each; nothing if all is well.

  Raises:
    ValueError: if there is no manifest.
  """
  manifest = manifests.read_finished(output_dir)
  yield from _wrong_names(manifest, output_dir)
  yield from _wrong_lists(manifest, output_dir)
  total = sum(split['num_images'] for split in manifest['splits'].values())
  seen = 0
  if manifests.MASKS in manifest:
    reader = mask_verification.Reader(manifest, output_dir)
    if reader.note:
      note(reader.note)
  else:
    reader = _Reader(manifest)
  for split, content in manifest['splits'].items():
    for shard, sha256 in _hashed(content['shards'], output_dir):
      if sha256 is None:
        continue  # Missing, which was said.
      path = os.path.join(output_dir, shard['name'])
      if sha256 != shard['sha256']:
        yield (f'{shard["name"]}: its SHA-256 is {sha256[:16]}..., the '
               f'manifest has {shard["sha256"][:16]}...: the file has changed')
      num_records = 0
      for fault in reader.read(path, split):
        if fault:
          yield f'{shard["name"]}: {fault}'
        else:
          num_records += 1
      if num_records != shard['num_images']:
        yield (f'{shard["name"]}: {num_records} good records, the manifest has '
               f'{shard["num_images"]}')
      seen += shard['num_images']
      report(seen, total)
  yield from reader.wrong_counts()


class _Reader:
  """Reads shards of images with labels, and sums up what they hold."""

  def __init__(self, manifest: Mapping[str, Any]):
    self._manifest = manifest
    self._parse = _training_parser(manifest)
    self._counts = collections.Counter()

  def read(self, path: str, split: str) -> Iterator[str]:
    """Yields for each record what is wrong with it, or ''."""
    for fault, label in _read_shard(path, self._parse, self._manifest):
      if not fault:
        self._counts[label, split] += 1
      yield fault

  def wrong_counts(self) -> Iterator[str]:
    """Yields what is wrong with all records together."""
    yield from _wrong_counts(self._manifest, self._counts)


def _wrong_names(manifest: Mapping[str, Any], output_dir: str
                 ) -> Iterator[str]:
  expected = {shard['name'] for split in manifest['splits'].values()
              for shard in split['shards']}
  found = {name for split in records.SPLITS
           # What the input pipeline would read.
           for name in storage.list_names(output_dir, f'{split}*')}
  for name in sorted(expected - found):
    yield f'{name} is missing'
  for name in sorted(found - expected):
    yield f'{name} is not in the manifest, and the input pipeline may read it'


def _wrong_lists(manifest: Mapping[str, Any], output_dir: str
                 ) -> Iterator[str]:
  for what in manifests.LISTS:
    path = os.path.join(output_dir, manifest[what]['file'])
    if not storage.exists(path):
      yield f'{manifest[what]["file"]} is missing'
    elif shards_lib.sha256_of(path) != manifest[what]['sha256']:
      yield f'{manifest[what]["file"]} has changed'
  names = ''.join(f'{item["name"]}\n' for item in manifest['classes'])
  path = os.path.join(output_dir, records.CLASS_NAMES_FILE)
  if not storage.exists(path):
    yield f'{records.CLASS_NAMES_FILE} is missing'
  elif storage.read_bytes(path) != names.encode():
    yield f'{records.CLASS_NAMES_FILE} has changed'


def _hashed(shards: list[dict[str, Any]], output_dir: str
            ) -> Iterator[tuple[dict[str, Any], str | None]]:
  """Yields shards and their SHA-256; the next is read meanwhile."""
  def sha256_of(shard):
    path = os.path.join(output_dir, shard['name'])
    return shards_lib.sha256_of(path) if storage.exists(path) else None
  with concurrent.futures.ThreadPoolExecutor(1) as executor:
    futures = [executor.submit(sha256_of, shard) for shard in shards]
    for shard, future in zip(shards, futures):
      yield shard, future.result()


def _training_parser(manifest: Mapping[str, Any]):
  """Decodes as training and evaluation do, with Model Garden's parser.

  A function that is traced once, and not for every shard anew.
  """
  decoder = classification_input.Decoder()
  parser = classification_input.Parser(
      output_size=[_IMAGE_SIZE, _IMAGE_SIZE],
      num_classes=len(manifest['classes']), aug_rand_hflip=False)
  parsers = [parser.parse_fn(is_training) for is_training in (True, False)]
  features = {key: tf.io.FixedLenFeature((), dtype, default_value=default)
              for key, dtype, default in (
                  (_SYNSET, tf.string, ''), (_TEXT, tf.string, ''),
                  ('image/height', tf.int64, 0), ('image/width', tf.int64, 0))}

  @tf.function
  def parse(serialized):
    is_well = True
    for parse_cropped in parsers:
      image, label = parse_cropped(decoder.decode(serialized))
      # What nobody asks for, TensorFlow does not compute.
      is_well &= tf.reduce_all(tf.math.is_finite(image))
    record = tf.io.parse_single_example(serialized, {
        **features, 'image/encoded': tf.io.FixedLenFeature((), tf.string)})
    # The parsers decode their crops alone; this decodes the rest.
    shape = tf.shape(tf.io.decode_jpeg(record['image/encoded'], channels=3))
    is_well &= tf.reduce_all(shape[:2] == tf.cast(
        tf.stack([record['image/height'], record['image/width']]), tf.int32))
    return label, record[_SYNSET], record[_TEXT], is_well
  return parse


def _read_shard(path: str, parse, manifest: Mapping[str, Any]
                ) -> Iterator[tuple[str, int | None]]:
  """Yields what is wrong with a record, or '' and its label."""
  classes = manifest['classes']
  dataset = tf.data.TFRecordDataset(path)
  number = 0
  try:
    for label, synset, text, is_well in dataset.map(
        parse, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator():
      fault = _wrong_label(int(label), synset.decode(), text.decode(), classes)
      if not fault and not is_well:
        fault = 'the image is not of the size that the record says'
      yield (f'record {number}: {fault}', None) if fault else ('', int(label))
      number += 1
  except tf.errors.OpError as error:
    # Which record it is, the parallel pipeline does not say.
    yield f'{_first_fault(dataset, parse) or error.message}', None


def _wrong_label(label: int, synset: str, text: str,
                 classes: list[dict[str, Any]]) -> str:
  """Says why a label is wrong, or ''."""
  if label == records.NO_LABEL and not synset and not text:
    return ''
  if not 0 <= label < len(classes):
    return f'label {label}, but there are {len(classes)} classes'
  expected = classes[label]
  if (synset, text) != (expected['synset'], expected['name']):
    return (f'label {label} is {expected["name"]!r}, but the record says '
            f'{text!r} {synset}'.rstrip())
  return ''


def _first_fault(dataset: tf.data.Dataset, parse) -> str:
  number = 0
  try:
    for serialized in dataset:
      # One operation after the other: the message is of that which failed.
      try:
        parse.python_function(serialized)
      except tf.errors.OpError:
        fault = _image_fault(serialized)
        if fault:
          return f'record {number} cannot be read: {fault}'
        raise
      number += 1
  except tf.errors.OpError as error:
    return f'record {number} cannot be read: {record_errors.reason(error)}'
  return ''


def _image_fault(serialized: tf.Tensor) -> str:
  """Says why the conversion would not take the image of a record, or ''."""
  try:
    record = tf.io.parse_single_example(serialized, {
        'image/encoded': tf.io.FixedLenFeature((), tf.string)})
    images.check(record['image/encoded'].numpy(), 'decode')
  except tf.errors.OpError:
    return ''  # It is no record of an image.
  except images.CorruptImageError as error:
    return str(error)
  return ''


def _wrong_counts(manifest: Mapping[str, Any],
                  counts: collections.Counter) -> Iterator[str]:
  by_label = [(item['label'], item['num_images'])
              for item in manifest['classes']]
  by_label.append((records.NO_LABEL, manifest['num_unlabelled']))
  expected = collections.Counter({
      (label, split): count for label, by_split in by_label
      for split, count in by_split.items()})
  for label, split in sorted(set(expected) | set(counts)):
    if expected[label, split] != counts[label, split]:
      yield (f'{split}: {counts[label, split]} images of label {label}, the '
             f'manifest has {expected[label, split]}')
