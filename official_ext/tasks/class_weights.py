"""What uneven classes count: in the training loss, and in how often they come.

With n images of which n_c are of class c, an image of it counts
n_c^-p * n / sum(n_c^(1 - p)), where p is 1 for 'balanced' and 1/2 for
'square_root'. So the mean over all images is 1, and the learning rate need not
change. Of p = 1 these are scikit-learn's `compute_class_weight('balanced')`.
Sampled so, an image comes in proportion to that weight: with p = 1 all classes
come equally often.

Legend: B batch, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import json
import os
from typing import Any

import numpy as np
from official.common import dataset_fn
import tensorflow as tf

from official_ext.configs import image_classification as configs
from official_ext.params import input_files
from official_ext.tasks import label_mapping
from official_ext.tasks import record_order
from official_ext.tasks import shard_counts

_POWERS = {'none': 0.0, 'square_root': 0.5, 'balanced': 1.0}
_RECORDS_READ_AT_ONCE = 1_024


def from_counts(counts: Sequence[int], kind: str) -> np.ndarray:
  """Returns the weights of classes.

  Args:
    counts: how many images each class has, C of them, not all 0.
    kind: one of small_data.CLASS_WEIGHTS.

  Returns:
    The weights, float32 [C]; 0 of a class without images.
  """
  numbers = np.asarray(counts, np.float64)
  is_there = numbers > 0
  power = _POWERS[kind]
  weights = np.zeros_like(numbers)
  weights[is_there] = numbers[is_there] ** -power
  return (weights * numbers.sum() / (weights * numbers).sum()).astype(
      np.float32)


def find(task: configs.ImageClassificationTask,
         mapping: label_mapping.LabelMapping | None,
         copies: Mapping[str, str]) -> np.ndarray | None:
  """Finds the weights that a training is to have.

  Args:
    task: the task's configuration, resolved.
    mapping: how the labels of the training data are mapped; None: not.
    copies: which files to read in the place of others.

  Returns:
    The weights, float32 [C]; None: all images count the same.

  Raises:
    ValueError: if a label is outside the classes.
    tf.errors.OpError: if a file cannot be read.
  """
  if task.class_weights == 'none':
    return None
  return from_counts(_count(task, mapping, copies), task.class_weights)


def find_sampling(task: configs.ImageClassificationTask,
                  mapping: label_mapping.LabelMapping | None,
                  copies: Mapping[str, str],
                  ) -> record_order.Sampling | None:
  """Finds how often the classes of a training are drawn; reads all labels.

  Args:
    task: as in `find`.
    mapping: as in `find`.
    copies: as in `find`.

  Returns:
    The probabilities and the records of the classes that have some; None: every
    record comes once in an epoch.

  Raises:
    ValueError: if a label is outside the classes, or the records do not all
      fit into what is shuffled.
    tf.errors.OpError: if a file cannot be read.
  """
  kind, data = task.class_sampling, task.train_data
  if kind == 'none':
    return None
  by_label = _in_records(
      [copies.get(file, file) for file in input_files.match(data.input_path)],
      data.file_type, data.label_field_key)
  num_records = sum(map(len, by_label.values()))
  if num_records > data.shuffle_buffer_size:
    raise ValueError(
        f'task.class_sampling is {kind!r}, which draws from all records, but '
        f'task.train_data.shuffle_buffer_size is {data.shuffle_buffer_size} '
        f'and they are {num_records:,}. Set it to that, if so many encoded '
        'images fit into memory; or take task.class_weights instead.')
  by_class: dict[int, list[int]] = {}
  for label, places in by_label.items():
    found = _class_of(task, mapping, label, len(places), 'class_sampling')
    by_class.setdefault(found, []).extend(places)
  records = tuple(tuple(sorted(by_class[one])) for one in sorted(by_class))
  numbers = [len(one) for one in records]
  shares = from_counts(numbers, kind).astype(np.float64) * numbers
  return record_order.Sampling(
      kind, records, tuple((shares / shares.sum()).tolist()))


def notes(weights: np.ndarray | None, kind: str,
          names: Sequence[str] | None = None) -> list[str]:
  """Says in a line of a run's summary how far weights are apart, if any are.

  Args:
    weights: of the classes, float32 [C]; None: they count the same.
    kind: one of small_data.CLASS_WEIGHTS.
    names: of the classes, C; None: not known, their numbers are said.

  Returns:
    The line, or none.
  """
  if weights is None:
    return []
  smallest = int(np.argmin(np.where(weights > 0, weights, np.inf)))
  largest = int(np.argmax(weights))
  of_smallest, of_largest = (
      repr(names[one]) if names else one for one in (smallest, largest))
  return [f'{"classes":12}images of class {of_smallest} count '
          f'{weights[smallest]:.3g} in the training loss, of class '
          f'{of_largest} {weights[largest]:.3g} (task.class_weights={kind})']


def weighted_loss(build_losses: Callable[..., tf.Tensor], labels: tf.Tensor,
                  outputs: tf.Tensor, weights: np.ndarray) -> tf.Tensor:
  """Returns the mean over a batch of losses that count as their classes do.

  Args:
    build_losses: Model Garden's, which takes the mean over a batch.
    labels: int [B], or [B, C]: one-hot, or soft: a mixed image counts as its
      classes do on average.
    outputs: logits, [B, C].
    weights: of the classes, float32 [C].

  Returns:
    The loss, [].
  """
  def of_one(example):
    label, output = example
    return build_losses(labels=label[tf.newaxis],
                        model_outputs=output[tf.newaxis])

  losses = tf.vectorized_map(of_one, (labels, outputs))  # [B]
  return tf.reduce_mean(losses * of_images(labels, weights))


def of_images(labels: tf.Tensor, weights: np.ndarray) -> tf.Tensor:
  """Returns how much images count.

  Args:
    labels: as in `weighted_loss`.
    weights: of the classes, float32 [C].

  Returns:
    The weight of every image, float32 [B].
  """
  table = tf.constant(weights)
  if len(labels.shape) == 1:
    return tf.gather(table, labels)  # [B]
  shares = tf.cast(labels, table.dtype)  # [B, C]
  return tf.linalg.matvec(shares, table) / tf.reduce_sum(shares, -1)


def _count(task: configs.ImageClassificationTask,
           mapping: label_mapping.LabelMapping | None,
           copies: Mapping[str, str]) -> np.ndarray:
  """Returns how many training images each class has, int64 [C]."""
  data = task.train_data
  files = input_files.match(data.input_path)
  by_label = None if copies else _in_manifest(files)
  if by_label is None:
    by_label = {label: len(places) for label, places in _in_records(
        [copies.get(file, file) for file in files], data.file_type,
        data.label_field_key).items()}
  counts = np.zeros(task.model.num_classes, np.int64)
  for label, number in by_label.items():
    counts[_class_of(task, mapping, label, number, 'class_weights')] += number
  return counts


def _class_of(task: configs.ImageClassificationTask,
              mapping: label_mapping.LabelMapping | None, label: int,
              number: int, setting: str) -> int:
  """Returns the class of a label, which so many records have."""
  found = int(mapping(tf.constant(label, tf.int64))) if mapping else label
  found += task.train_data.label_offset or 0
  if not 0 <= found < task.model.num_classes:
    raise ValueError(
        f'task.{setting} counts the images of each class, and {number:,} have '
        f'the label {label}, with label_offset {found}, but the model has '
        f'classes 0 to {task.model.num_classes - 1}. Check '
        'task.model.num_classes, task.train_data.label_offset and the records.')
  return found


def _in_manifest(files: Sequence[str]) -> dict[int, int] | None:
  """Returns counts by label, if files are all that a manifest tells of."""
  folders = {os.path.dirname(file) for file in files}
  if len(folders) > 1:
    return None
  path = os.path.join(*folders, shard_counts.MANIFEST)
  if not tf.io.gfile.exists(path):
    return None
  # Whether it is whole, and the shards as it says, was checked before.
  with tf.io.gfile.GFile(path) as file:
    manifest = json.loads(file.read())
  names = {os.path.basename(file) for file in files}
  for split, content in manifest['splits'].items():
    if {shard['name'] for shard in content['shards']} == names and (
        'classes' in manifest):
      return _of_split(manifest, split)
  return None


def _of_split(manifest: Mapping[str, Any], split: str) -> dict[int, int] | None:
  """Returns counts by label; None if some records have no label."""
  if manifest.get('num_unlabelled', {}).get(split):
    return None
  return {one['label']: one['num_images'][split]
          for one in manifest['classes'] if one['num_images'].get(split)}


def _in_records(files: Sequence[str], file_type: str, label_key: str
                ) -> dict[int, list[int]]:
  """Returns the places of records by label; no image is decoded."""
  features = {label_key: tf.io.FixedLenFeature([], tf.int64, -1)}
  records = dataset_fn.pick_dataset_fn(file_type)(list(files))
  places: dict[int, list[int]] = {}
  place = 0
  for batch in records.batch(_RECORDS_READ_AT_ONCE):
    for label in tf.io.parse_example(batch, features)[label_key].numpy():
      places.setdefault(int(label), []).append(place)
      place += 1
  return places
