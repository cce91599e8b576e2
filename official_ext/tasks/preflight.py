"""Looks at the data before anything expensive is built.

Files that are missing or are no TFRecords, records without an image or a
label, labels outside the classes and images that the pipeline cannot decode
are found here, with a message for the person who typed the path. Every label
is checked again as it is read (`official_ext.tasks.image_classification`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import types
from typing import Any

from absl import logging
from google.protobuf import message
from official.common import dataset_fn
from official.core import config_definitions as cfg
from official.vision.dataloaders import tfds_classification_decoders
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.configs import image_classification as configs
from official_ext.params import input_files
from official_ext.tasks import record_counts
from official_ext.tasks import shard_counts
from official_ext.tasks import tfds_data

# A data set up to this size is read whole; of a larger one, a sample is.
_READ_WHOLE_BYTES = 64 * 2**20
_SAMPLED_FILES = 8
_SAMPLED_RECORDS_PER_FILE = 32
# So many images of a data set are decoded as well.
_DECODED_RECORDS = 256
# What a file that is compressed with gzip begins with.
_GZIP = b'\x1f\x8b'

# What is called as `check_record`.
RecordCheck = Callable[[bytes, Any, Any, str, bool], None]


def check_files(task: configs.ImageClassificationTask,
                names: Sequence[str]) -> None:
  """Checks that data sets exist; runs no TensorFlow operation.

  Args:
    task: the task's configuration, resolved.
    names: which to check, 'train_data' or 'validation_data'.

  Raises:
    ValueError: naming the setting, its value and what to type instead.
  """
  for name in names:
    data = getattr(task, name)
    if data.tfds_name:
      _check_tfds(data, f'task.{name}')
    else:
      match_files(data.input_path, f'task.{name}')


def check_records(task: cfg.TaskConfig, names: Sequence[str],
                  follows_epochs: bool = False,
                  copies: Mapping[str, str] = types.MappingProxyType({}),
                  check: RecordCheck | None = None) -> None:
  """Reads records of data sets, checks them one by one and counts them.

  Args:
    task: the task's configuration, resolved.
    names: which to check, 'train_data' or 'validation_data'.
    follows_epochs: whether steps follow from `task.train_data.num_examples`,
      which must then be the number of records, as far as that is known.
    copies: which files to read in the place of others.
    check: checks a record as `check_record`; None: that of image
      classification.

  Raises:
    ValueError: naming the record or the shard, what is wrong with it and the
      fix.
  """
  for name in names:
    data = getattr(task, name)
    if not data.tfds_name:
      files = match_files(data.input_path, f'task.{name}')
      where = f'task.{name}'
      counted = _check_files_records(
          task, data, files, where, copies, check or check_record)
      if len(counted) < len(files):
        try:
          counted = record_counts.count_unlisted(files, data.file_type)
        except ValueError as error:
          raise ValueError(f'{where}: {error}') from error
      shard_counts.check(task, name, files, counted, follows_epochs)
      for file, number in counted.items():
        if not number:
          logging.warning('%s: %s holds no record', where, file)


def _check_tfds(data: configs.DataConfig, where: str) -> None:
  supported = tfds_classification_decoders.TFDS_ID_TO_DECODER_MAP
  if data.tfds_name not in supported:
    raise ValueError(
        f'{where}.tfds_name is {data.tfds_name!r}, but Model Garden reads '
        f'only {", ".join(supported)} from TFDS. Convert other data sets to '
        'TFRecords and set input_path.')
  if not data.tfds_split:
    raise ValueError(
        f"{where}.tfds_split is empty. Name a split, such as 'train' or "
        "'validation'.")
  tfds_data.check(data.tfds_name, data.tfds_data_dir, where)


def match_files(input_path: str | Sequence[str], where: str) -> list[str]:
  """Finds the files of an input path.

  Args:
    input_path: one pattern or several.
    where: the setting of the data set, for the message.

  Returns:
    The files.

  Raises:
    ValueError: if they are not there, and what to type instead.
  """
  fix = (
      f"Give the path of your TFRecords, for example --params_override="
      f"{where}.input_path='/path/to/train*', or task.data_dir=/path/to/folder "
      'for shards named train-* and validation-*.')
  if not input_path:
    raise ValueError(
        f'{where} names no data: task.data_dir, {where}.input_path and '
        'tfds_name are empty. Set task.data_dir=/path/to/folder for shards '
        'named train-* and validation-*; . is the current folder.')
  if ',' in str(input_path) or '[' in str(input_path):
    fix += (' Of an input_path, commas part patterns; in a name, write [,] and '
            '[[] for them. A data_dir is taken as it is.')
  try:
    files = input_files.match(input_path)
  except ValueError as error:
    raise ValueError(
        f'{where}.input_path {input_path!r} matches no file. {fix}') from error
  for file in files:
    if not tf.io.gfile.exists(file) or tf.io.gfile.isdir(file):
      raise ValueError(f'{where}.input_path: {file!r} is not a file. {fix}')
  return files


def _check_files_records(task: cfg.TaskConfig, data: cfg.DataConfig,
                         files: Sequence[str], where: str,
                         copies: Mapping[str, str], check: RecordCheck
                         ) -> dict[str, int]:
  """Checks all records of small files, and a sample of large ones.

  Returns:
    The number of records by file, of those that were read whole.
  """
  size = sum(tf.io.gfile.stat(file).length for file in files)
  limit = -1
  if size > _READ_WHOLE_BYTES:
    files = files[::-(-len(files) // _SAMPLED_FILES)]
    limit = _SAMPLED_RECORDS_PER_FILE
  open_file = dataset_fn.pick_dataset_fn(data.file_type)
  count, counted = 0, {}
  for file in files:
    before = count
    try:
      for record in open_file(copies.get(file, file)).take(
          limit).as_numpy_iterator():
        check(
            record, task, data, f'{where}: record {count - before} of {file}',
            count < _DECODED_RECORDS)
        count += 1
    except (tf.errors.OpError, message.DecodeError) as error:
      raise ValueError(
          damaged(file, count - before, data, where, error)) from error
    if limit < 0:
      counted[file] = count - before
  if not count:
    raise ValueError(f'{where}: {files[0]} and its like hold no record.')
  return counted


def damaged(file: str, number: int, data: cfg.DataConfig, where: str,
            error: BaseException) -> str:
  """Says that a record cannot be read.

  Args:
    file: that holds it.
    number: of the record in the file, from 0.
    data: the settings of the data set.
    where: the setting of the data set, for the message.
    error: what reading it raised.

  Returns:
    The message, the same wherever the record is met.
  """
  reason = errors.reason(error)
  if not isinstance(error, (tf.errors.DataLossError, message.DecodeError)):
    return (f'{where}: {file} cannot be read ({reason}). Let this user read '
            'it, or name another.')
  if number == 0 and isinstance(error, tf.errors.DataLossError):
    with tf.io.gfile.GFile(file, 'rb') as opened:
      is_compressed = opened.read(len(_GZIP)) == _GZIP
    if is_compressed != (data.file_type == 'tfrecord_compressed'):
      state, file_type = (('compressed', 'tfrecord_compressed')
                          if is_compressed else ('not compressed', 'tfrecord'))
      return (f'{where}: {file} cannot be read as {where}.file_type='
              f'{data.file_type} ({reason}): it is {state} with gzip. Set '
              f'{where}.file_type={file_type}.')
  what = 'is damaged' if number else (
      'is damaged, or the file holds no TFRecords of tf.train.Example')
  return (f'{where}: record {number} of {file} {what} ({reason}). Copy the '
          'file anew, or convert the data again.')


def check_record(record: bytes, task: configs.ImageClassificationTask,
                 data: configs.DataConfig, where: str, decodes: bool) -> None:
  """Checks a record of a data set.

  Args:
    record: the record, serialized.
    task: the task's configuration, resolved.
    data: the settings of the data set.
    where: which record it is, for the message.
    decodes: whether to decode the image too.

  Raises:
    ValueError: naming the record, what is wrong with it and the fix.
    message.DecodeError: if it is no tf.train.Example.
  """
  features = tf.train.Example.FromString(record).features.feature
  _check_features(features, task, data, where)
  if decodes:
    image_key = task.train_data.image_field_key
    check_image(features[image_key].bytes_list.value[0], where)


def check_image(encoded: bytes, where: str) -> None:
  """Decodes an image as the input pipeline does.

  Args:
    encoded: the image.
    where: which record it is of, for the message.

  Raises:
    ValueError: if it cannot be decoded.
  """
  try:
    tf.io.decode_image(encoded, channels=3)
  except tf.errors.InvalidArgumentError as error:
    raise ValueError(
        f'{where} holds an image that cannot be decoded '
        f'({errors.reason(error)}). Leave it out and convert the data '
        'again.') from error


def _check_features(features, task: configs.ImageClassificationTask,
                    data: configs.DataConfig, where: str) -> None:
  """Checks one record; `features` is the map of a tf.train.Example."""
  image_key = task.train_data.image_field_key
  label_key = task.train_data.label_field_key
  keys = ', '.join(sorted(features))
  if not features[image_key].bytes_list.value:
    raise ValueError(
        f'{where} has no image under {image_key!r}; its keys are {keys}. Set '
        'task.train_data.image_field_key.')
  labels = features[label_key].int64_list.value
  if not labels:
    raise ValueError(
        f'{where} has no label under {label_key!r}; its keys are {keys}. Set '
        'task.train_data.label_field_key, or convert the data again.')
  if len(labels) > 1 and not task.train_data.is_multilabel:
    raise ValueError(
        f'{where} has {len(labels)} labels under {label_key!r}. Set '
        'task.train_data.is_multilabel=true, or convert the data again with '
        'one label per image.')
  # Model Garden adds no offset to several labels per image.
  offset = 0 if task.train_data.is_multilabel else data.label_offset or 0
  num_classes = task.model.num_classes
  for label in labels:
    if not 0 <= label + offset < num_classes:
      raise ValueError(
          f'{where} has label {label} (label_offset {offset}), but the '
          f'model has classes 0..{num_classes - 1}. Set '
          'task.model.num_classes (ImageNet: 1001, labels 1..1000) or '
          'label_offset.')
  image = features[image_key].bytes_list.value[0]
  if (data.decode_jpeg_only and data.aug_crop and
      not image.startswith(b'\xff\xd8\xff')):
    raise ValueError(
        f'{where} holds an image that is not a JPEG, and '
        'decode_jpeg_only is set. Set it to false for this data set.')
