"""Turns photographs as their EXIF data say, as operations of a graph.

The same rule as where the images were converted
(`data_prep.exif_orientation`): the first EXIF data of a JPEG or PNG file count,
and in them the first tag 274 of the first directory. What is damaged, or no
orientation from 1 to 8, means 1, and never fails a request.

Format: EXIF 2.32 (CIPA DC-008), section 4.6; TIFF 6.0, section 2.

Legend: H, W sides of an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import os
from typing import Any

import tensorflow as tf

from official_ext.configs import image_classification
from official_ext.params import input_files
from official_ext.tasks import image_parts

# In what a checkpoint says of its training data, and what it may be there.
KEY = 'exif_orientation'
APPLY, IGNORE = 'apply', 'ignore'
# What data_prep writes beside the shards.
_MANIFEST_FILE = 'manifest.json'

UPRIGHT = 1
_TAG, _SHORT, _LONG = 274, 3, 4
_LITTLE, _BIG = b'II*\0', b'MM\0*'
_START = b'Exif\0\0'
_HEADER, _ENTRY = 8, 12


def describe(task: image_classification.ImageClassificationTask
             ) -> dict[str, str]:
  """Says whether the images of the training data were turned.

  Args:
    task: the task's configuration, resolved.

  Returns:
    Under `KEY` APPLY or IGNORE, as the manifest beside the records says; empty
    if there is none, or one of a version that did not know.

  Raises:
    ValueError: if photographs of one folder lie, and of another stand.
  """
  found, _ = _of_records(
      task.train_data.input_path, task.data_dir, 'task.train_data')
  return {KEY: found} if found else {}


def check_same(known: Mapping[str, Any], input_path: str | Sequence[str],
               data_dir: str, where: str) -> None:
  """Refuses records that were turned otherwise than those of the training.

  Args:
    known: what the model knows of the data that it was trained on.
    input_path: pattern or patterns of the records.
    data_dir: the folder of the data, or ''.
    where: what the records are called in a message.

  Raises:
    ValueError: if photographs lie in one of the two and stand in the other, as
      far as both say so.
  """
  found, is_sure = _of_records(input_path, data_dir, where)
  if not found or found == known.get(KEY, found):
    return
  if is_sure:
    raise ValueError(
        f'{where}: its images were converted with --{KEY}={found}, those that '
        f'the model was trained on with {known[KEY]}. Convert them anew with '
        f'--{KEY}={known[KEY]}.')


def _of_records(input_path: str | Sequence[str], data_dir: str, where: str
                ) -> tuple[str | None, bool]:
  """Says whether the images of records were turned.

  Args:
    input_path: pattern or patterns of the records.
    data_dir: the folder of the data, or ''.
    where: what the records are called in a message.

  Returns:
    APPLY, IGNORE or, if nobody says, None; and whether the other would be
    wrong: where no image had to be turned, APPLY and IGNORE are the same.

  Raises:
    ValueError: if the folders of the records differ in it.
  """
  # A folder of each kind.
  turned, upright, ignored = [], [], []
  for path in _manifests(input_path, data_dir):
    manifest = _read_manifest(path)
    found = manifest['options'].get(KEY)
    if found == IGNORE:
      ignored.append(path)
    elif found:
      (turned if manifest.get('num_turned') else upright).append(path)
  if turned and ignored:
    raise ValueError(
        f'{where}: by {turned[0]} the images were converted with '
        f'--{KEY}={APPLY}, by {ignored[0]} with {IGNORE}, so that the '
        'photographs of one folder stand and those of the other lie. Convert '
        f'one anew with the --{KEY} of the other.')
  if ignored:
    return IGNORE, True
  return APPLY if turned or upright else None, bool(turned)


def _manifests(input_path: str | Sequence[str], data_dir: str) -> list[str]:
  """Returns the manifests of records, of each of their folders."""
  try:
    records = input_files.match(input_path) if input_path else []
  except ValueError:  # The records are gone; the manifest may have stayed.
    records = []
  folders = {os.path.dirname(record) for record in records} or {data_dir}
  paths = set()
  for folder in folders:
    path = os.path.join(folder, _MANIFEST_FILE)
    if data_dir and not tf.io.gfile.exists(path) and folder.startswith(
        os.path.join(data_dir, '')):
      path = os.path.join(data_dir, _MANIFEST_FILE)
    if (records or data_dir) and tf.io.gfile.exists(path):
      paths.add(path)
  return sorted(paths)


def _read_manifest(path: str) -> dict[str, Any]:
  """Reads a manifest."""
  try:
    with tf.io.gfile.GFile(path) as file:
      return {'options': {}, **json.load(file)}
  except (ValueError, TypeError) as error:
    raise ValueError(
        f'{path} is damaged ({error}). Convert the data again, or remove it to '
        'train without a comparison.') from error


def of_model(data: Mapping[str, Any]) -> str:
  """Says whether a model wants photographs turned.

  Args:
    data: what its checkpoint says of its training data.

  Returns:
    APPLY or IGNORE; IGNORE where nothing is known, as in checkpoints of earlier
    versions, and of records that others wrote.
  """
  return data.get(KEY, IGNORE)


def read(encoded: tf.Tensor) -> tf.Tensor:
  """Reads the orientation of a file.

  Args:
    encoded: string [], the bytes of an image file.

  Returns:
    int32 [], 1 to 8; 1 of files other than JPEG and PNG.
  """
  is_png = tf.strings.substr(
      encoded, 0, len(image_parts.PNG_START)) == image_parts.PNG_START
  exif = tf.case([
      (tf.io.is_jpeg(encoded), lambda: image_parts.find_exif_segment(encoded)),
      (is_png, lambda: _without_start(
          image_parts.find_png_chunk(encoded, b'eXIf'))),
  ], default=lambda: tf.constant(b''))
  return tf.cond(
      tf.strings.length(exif) > _HEADER, lambda: _of_exif(exif),
      lambda: tf.constant(UPRIGHT))


def turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
  """Turns an image as it is to be seen.

  Args:
    image: [H, W, C], as it is stored.
    orientation: int32 [], 1 to 8.

  Returns:
    [H, W, C], or [W, H, C] for 5 to 8.
  """
  image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]),
                  lambda: image)
  # Rows from the bottom, and columns from the right.
  return tf.raw_ops.Reverse(tensor=image, dims=[
      tf.reduce_any(orientation == [3, 4, 7, 8]),
      tf.reduce_any(orientation == [2, 3, 6, 7]), False])


def _without_start(exif: tf.Tensor) -> tf.Tensor:
  """Leaves out the 'Exif' that some write before the data in PNG too."""
  return tf.cond(
      tf.strings.substr(exif, 0, len(_START)) == _START,
      lambda: tf.strings.substr(exif, len(_START), tf.strings.length(exif)),
      lambda: exif)


def _of_exif(exif: tf.Tensor) -> tf.Tensor:
  """Returns the orientation in EXIF data of more than a header, int32 []."""
  start = tf.strings.substr(exif, 0, 4)
  is_little = start == _LITTLE
  values = tf.cast(tf.io.decode_raw(exif, tf.uint8), tf.int64)
  size = tf.size(values, tf.int64)

  def number(digits, num_bytes):
    """[..., num_bytes] to [...], in the order of the data."""
    weights = [256**place for place in range(num_bytes)]
    return tf.reduce_sum(digits * tf.where(
        is_little, tf.constant(weights, tf.int64),
        tf.constant(weights[::-1], tf.int64)), -1)

  def of_directory(first):
    count = tf.minimum(number(values[first:first + 2], 2),
                       (size - first - 2) // _ENTRY)
    entries = tf.reshape(
        values[first + 2:first + 2 + _ENTRY * count], [-1, _ENTRY])
    kinds = number(entries[:, 2:4], 2)
    is_short = kinds == _SHORT
    is_wanted = (number(entries[:, :2], 2) == _TAG) & (
        is_short | (kinds == _LONG))
    found = tf.where(
        is_short, number(entries[:, 8:10], 2), number(entries[:, 8:12], 4))
    # A zero stands for none.
    return tf.reduce_max(tf.concat([found[is_wanted][:1], [0]], 0))

  first = number(values[4:8], 4)
  found = tf.cond(
      (is_little | (start == _BIG)) & (first + 2 <= size),
      lambda: of_directory(first), lambda: tf.constant(0, tf.int64))
  return tf.cast(
      tf.where((found >= 1) & (found <= 8), found, UPRIGHT), tf.int32)
