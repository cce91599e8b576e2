"""Reads the validation set of an experiment beside its image files.

Legend: B images, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import dataclasses
from typing import Any

import numpy as np
from official.common import dataset_fn
from official.vision.dataloaders import classification_input
import tensorflow as tf

from official_ext.configs import image_classification as configs
from official_ext.params import input_files
from official_ext.tasks import exif_orientation
from official_ext.tasks import image_parser
from official_ext.tasks import label_mapping
from official_ext.tasks import parsing
from official_ext.tasks import shard_counts
from official_ext.trained import trained_model

# Images that are read at once; the last batch may be smaller.
_BATCH_SIZE = 32


@dataclasses.dataclass
class Batch:
  """Part of a validation set.

  Attributes:
    encoded: the bytes of B image files.
    images: what the model takes of them, float32 [B, height, width, 3].
    labels: int [B], or of a model of several labels per image float [B, C], 1
      where an image has the class.
  """
  encoded: np.ndarray
  images: np.ndarray
  labels: np.ndarray


def settings(task: configs.ImageClassificationTask, pattern: str
             ) -> configs.DataConfig:
  """Returns how records are read that need not be the experiment's own.

  Args:
    task: the task's configuration.
    pattern: of the records.

  Returns:
    The experiment's settings of validation data, for these records. Of one that
    reads TFDS, whose labels of ImageNet count from 0, without its offset.
  """
  data = task.validation_data
  if data.tfds_name:
    data = data.replace(tfds_name='', label_offset=0)
  return data.replace(input_path=pattern)


@dataclasses.dataclass(frozen=True)
class Source:
  """The records of a validation set.

  Attributes:
    pattern: of the files.
    paths: the files, at least one.
    where: what they are called in a message.
    file_type: as in the data settings, 'tfrecord' or 'tfrecord_compressed'.
  """
  pattern: str
  paths: list[str]
  where: str
  file_type: str


def find(task: configs.ImageClassificationTask, pattern: str | None) -> Source:
  """Finds the records of a validation set.

  Args:
    task: the task's configuration.
    pattern: of TFRecords; None: the experiment's validation data.

  Returns:
    The records.

  Raises:
    ValueError: if no file matches, one was cut, or the experiment reads no
      TFRecords.
  """
  data = task.validation_data
  where = '--data' if pattern else 'task.validation_data'
  pattern = input_files.of_flag(pattern) if pattern else data.input_path
  if not pattern:
    raise ValueError(
        'the validation data of this training are no TFRecords. Name some '
        'with --data.')
  try:
    paths = sorted(input_files.match(pattern))
    missing = [path for path in paths if not tf.io.gfile.exists(path)]
  except ValueError:
    missing = [pattern]
  if missing:
    raise ValueError(
        f'no file matches {missing[0]!r}. Name TFRecords with --data.')
  shard_counts.check_files(paths, where)
  return Source(pattern, paths, where, data.file_type)


def read_records(trained: trained_model.TrainedModel, pattern: str | None,
                 num_images: int | None) -> Iterator[Batch]:
  """Reads a validation set as evaluation does, and the files beside it.

  Args:
    trained: the model, whose settings are used.
    pattern: of TFRecords; None: the experiment's validation data.
    num_images: how many to read; None: all.

  Yields:
    Batches of up to 32 images, one at least.

  Raises:
    ValueError: as `find` and `read`.
  """
  task = trained.params.task
  yield from read(task, trained.data, find(task, pattern), num_images)


def read(task: configs.ImageClassificationTask, known: Mapping[str, Any],
         source: Source, num_images: int | None) -> Iterator[Batch]:
  """Reads records as the evaluation of a task does.

  Args:
    task: the task's configuration.
    known: what the model knows of the data that it was trained on.
    source: what `find` found.
    num_images: how many to read; None: all.

  Yields:
    Batches of up to 32 images, one at least.

  Raises:
    ValueError: if there is no record in the files, or a label is of no class
      of the model.
  """
  pattern, where = source.pattern, source.where
  image_key = task.train_data.image_field_key
  label_key = task.train_data.label_field_key
  exif_orientation.check_same(known, pattern, task.data_dir, where)
  data = settings(task, pattern)
  mapping = label_mapping.of_data_set(
      task, data, known, where, (
          'Take data of its classes, converted with --class_names=FILE, the '
          'class_names.txt in the folder of its training.'))
  is_multilabel = task.train_data.is_multilabel
  num_classes = task.model.num_classes
  # Model Garden adds no offset to several labels per image.
  offset = 0 if is_multilabel else data.label_offset or 0
  decoder = classification_input.Decoder(image_key, label_key, is_multilabel)
  parser = parsing.build_parser(task, data, dtype='float32')

  def parse(record):
    tensors = decoder.decode(record)
    label = tensors[label_key]
    if mapping:
      label = mapping(label)
    if is_multilabel:
      label = label.values
    label = tf.cast(label, tf.int32) + offset
    found = tf.reshape(label, [-1])
    is_unknown = (found < 0) | (found >= num_classes)
    # Of the record, the first of no class.
    unknown = tf.concat([found[is_unknown], [0]], 0)[0]
    if is_multilabel:
      label = tf.reduce_max(tf.one_hot(label, num_classes), axis=0)
    return (tensors[image_key], image_parser.evaluation_image(parser, tensors),
            label, unknown)

  dataset = dataset_fn.pick_dataset_fn(data.file_type)(source.paths)
  if num_images:
    dataset = dataset.take(num_images)
  dataset = dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE).batch(
      _BATCH_SIZE).prefetch(2)
  is_empty = True
  for encoded, images, labels, unknown in dataset.as_numpy_iterator():
    is_empty = False
    unknown = unknown[unknown != 0]
    if unknown.size:
      raise ValueError(
          f'{where}: a record has label {unknown[0]}, but the model has '
          f'classes 0..{num_classes - 1}. Name records of its classes alone.')
    yield Batch(encoded, images, labels)
  if is_empty:
    raise ValueError(f'there is no record in {pattern!r}.')
