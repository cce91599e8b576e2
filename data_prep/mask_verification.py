"""Compares records of images with masks with the files they were made of.

Every record goes through the decoder and parser of Model Garden's segmentation
and is decoded whole; then, if the inputs are still there, image and mask are
made anew of their files and compared pixel by pixel, and every pair of the
inputs must be in a record or on the list of what is in none.

Legend: H, W sides of an image.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping
import dataclasses
import functools
import json
import os
from typing import Any

import numpy as np
from official.vision.dataloaders import segmentation_input
import tensorflow as tf

from . import image_index
from . import images
from . import manifest as manifests
from . import mask_pairs
from . import masks
from . import pair_names
from . import pairing
from . import record_errors
from . import storage

# The crops are decoded whole whatever they are resized to.
_IMAGE_SIZE = 32
_FILE_NAME, _MASK = 'image/filename', 'image/segmentation/class/encoded'
# Of a re-encoded image, what another version of Pillow or libjpeg may change:
# shades on average.
_OTHER_SOFTWARE_SHADES = 2.0


@dataclasses.dataclass(frozen=True)
class _Sources:
  """The pairs that the inputs hold.

  Attributes:
    by_name: image, with its mask, by split and name in its record.
    excused: (split, name) of what is in no record, as the list says.
    held_out: whether validation images are among those of the training.
  """
  by_name: dict[tuple[str, str], image_index.Image]
  excused: set[tuple[str, str]]
  held_out: bool

  def key(self, split: str, name: str) -> tuple[str, str]:
    return ('train' if self.held_out and split == 'validation' else split, name)


class Reader:
  """Reads shards, and sums up what they hold."""

  def __init__(self, manifest: Mapping[str, Any], output_dir: str):
    """Finds the inputs again.

    Args:
      manifest: of images with masks.
      output_dir: folder of the shards.
    """
    self._manifest = manifest
    options = manifest['options']
    self._rules = masks.Rules(
        options['num_classes'] or len(manifest['classes']),
        options['ignore_label'], options['reduce_zero_label'],
        options.get('label_map', ''))
    self._parse = _training_parser(options['ignore_label'])
    # What a person should know, though it is no fault; or ''.
    self.note = ''
    self._sources = self._find_sources(output_dir)
    self._met = collections.Counter()
    self._pixels = collections.defaultdict(collections.Counter)

  def read(self, path: str, split: str) -> Iterator[str]:
    """Yields for each record of a shard what is wrong with it, or ''."""
    number = 0
    try:
      for serialized in tf.data.TFRecordDataset(path):
        fault = self._check(serialized, split)
        yield f'record {number}{fault}' if fault else ''
        number += 1
    except tf.errors.OpError as error:
      yield f'record {number} cannot be read: {record_errors.reason(error)}'

  def wrong_counts(self) -> Iterator[str]:
    """Yields what is wrong with all records together."""
    for split, tally in self._manifest[manifests.MASKS].items():
      expected, found = tally['pixels'], self._pixels[split]
      for value in sorted(set(map(int, expected)) | set(found)):
        number = expected.get(str(value), 0)
        if number != found[value]:
          yield (f'{split}: {found[value]:,} pixels of the value {value}, the '
                 f'manifest has {number:,}')
    for (split, name), count in sorted(self._met.items()):
      if count > 1:
        yield f'{split}: {name} is in {count} records'
    if self._sources:
      for split, name in sorted(set(self._sources.by_name) - set(self._met)
                                - self._sources.excused):
        yield f'{split}: {name} is among the inputs, but in no record'

  def _check(self, serialized: tf.Tensor, split: str) -> str:
    """Returns what is wrong with a record, beginning after its number."""
    name = ''
    try:
      record = tf.io.parse_single_example(serialized, {
          key: tf.io.FixedLenFeature((), tf.string)
          for key in (_FILE_NAME, 'image/encoded', _MASK)})
      name = os.fsdecode(record[_FILE_NAME].numpy())
      image, mask, is_well = self._parse(serialized)
    except tf.errors.OpError as error:
      return f' ({name}) cannot be read: {record_errors.reason(error)}'
    mask = mask.numpy()
    self._pixels[split].update(masks.count(mask))
    fault = '' if is_well else (
        'image, mask and the size that the record says are not the same')
    fault = fault or self._wrong_values(mask) or self._differs(
        name, split, record['image/encoded'].numpy(), image, mask)
    return f' ({name}): {fault}' if fault else ''

  def _wrong_values(self, mask: np.ndarray) -> str:
    wrong = [value for value in masks.count(mask) if
             value >= self._rules.num_classes and
             value != self._rules.ignore_label]
    return (f'the mask has the value {wrong[0]}, but there are '
            f'{self._rules.num_classes} classes' if wrong else '')

  def _differs(self, name: str, split: str, encoded: bytes, image: tf.Tensor,
               mask: np.ndarray) -> str:
    """Says how a record differs from the files of its pair, or ''."""
    if not self._sources:
      return ''
    key = self._sources.key(split, name)
    self._met[key] += 1
    source = self._sources.by_name.get(key)
    if source is None:
      return 'no such pair is among the inputs any more'
    options = self._manifest['options']
    try:
      data = storage.read_range(source.file, source.offset, source.size)
      mask_data = storage.read_range(
          source.mask_file, source.mask_offset, source.mask_size)
      expected, expected_mask = mask_pairs.check(
          data, mask_data, os.path.basename(source.mask_file), 'header',
          options['jpeg_quality'], options['exif_orientation'], self._rules)
    except (images.CorruptImageError, OSError) as error:
      return f'its files cannot be compared: {error}'
    other = masks.read(expected_mask.encoded)
    if other.shape != mask.shape:
      return f'the mask is of another size than {source.mask_file}'
    if (other != mask).any():
      return (f'the mask differs from {source.mask_file} in '
              f'{int((other != mask).sum()):,} px')
    if expected.encoded == encoded:
      return ''
    decoded = tf.io.decode_image(expected.encoded, 3, expand_animations=False)
    if decoded.shape != image.shape:
      return f'the image is of another size than {source.file}'
    shades = np.abs(decoded.numpy().astype(int) - image.numpy())
    if shades.mean() > (_OTHER_SOFTWARE_SHADES if expected.was else 0):
      return (f'the image differs from {source.file} in '
              f'{int(shades.any(-1).sum()):,} px')
    return ''

  def _find_sources(self, output_dir: str) -> _Sources | None:
    """Reads the names of the inputs; None where they are not to be found."""
    manifest = self._manifest
    missing = [path for path in manifest['inputs'] if not storage.exists(path)]
    if missing:
      self.note = (f'{missing[0]} is not there, so the records were not '
                   'compared with the files they were made of')
      return None
    index = image_index.ImageIndex()
    try:
      inputs = list(zip(manifest['input_names'], manifest['inputs']))
      options = manifest['options']
      data_set = pairing.read(
          inputs, index, (), suffixes=pair_names.Suffixes(
              options.get('image_suffix', ''), options.get('mask_suffix', '')))
      by_name = {
          (split, pairing.file_name(image, data_set.groups)): image
          for split in index.totals() for image in index.ordered(split)}
    except ValueError as error:
      self.note = ('the records were not compared with the files they were '
                   f'made of: {error}')
      return None
    finally:
      index.close()
    held_out = bool(manifest['options']['validation_fraction'])
    sources = _Sources(by_name, set(), held_out)
    path = os.path.join(output_dir, manifest['quarantined']['file'])
    if storage.exists(path):
      for line in storage.read_bytes(path).splitlines():
        row = json.loads(line)
        sources.excused.add(sources.key(row['split'], row['file']))
    return sources


@functools.cache
def _training_parser(ignore_label: int):
  """Decodes as training and evaluation do, with Model Garden's parser.

  Args:
    ignore_label: of pixels that are of no class.

  Returns:
    A function, traced once, of a serialized record: image uint8 [H, W, 3], mask
    uint8 [H, W], and whether both have the size that the record says.
  """
  decoder = segmentation_input.Decoder()
  parser = segmentation_input.Parser(
      output_size=[_IMAGE_SIZE, _IMAGE_SIZE], ignore_label=ignore_label)
  parsers = [parser.parse_fn(is_training) for is_training in (True, False)]

  @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
  def parse(serialized):
    record = decoder.decode(serialized)
    image = tf.io.decode_image(
        record['image/encoded'], 3, expand_animations=False)
    mask = tf.io.decode_png(record[_MASK])
    size = tf.cast(
        tf.stack([record['image/height'], record['image/width']]), tf.int32)
    is_well = tf.logical_and(
        tf.reduce_all(tf.shape(image)[:2] == size),
        tf.reduce_all(tf.shape(mask) == tf.concat([size, [1]], 0)))
    if is_well:
      for parse_cropped in parsers:
        cropped, _ = parse_cropped(record)
        # What nobody asks for, TensorFlow does not compute.
        is_well &= tf.reduce_all(tf.math.is_finite(cropped))
    return image, mask[..., 0], is_well
  return parse
