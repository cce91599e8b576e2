"""Brings labels of a data set to the classes of the model, and checks them.

Legend: B batch.
"""

from __future__ import annotations

import tensorflow as tf

from official_ext.configs import image_classification as configs

BAD_LABEL = 'A label is outside the classes of the model'


def add(labels: tf.Tensor, offset: int, num_classes: int, label_key: str
        ) -> tf.Tensor:
  """Adds the offset of the data set to labels and checks their range.

  Args:
    labels: int [B].
    offset: what to add to each label.
    num_classes: of the model.
    label_key: feature of the record that holds the label, for the message.

  Returns:
    The labels, of the same shape and type.

  Raises:
    tf.errors.InvalidArgumentError: if a label is outside 0..num_classes-1.
  """
  expected = (
      f'{BAD_LABEL}: after adding label_offset {offset}, labels '
      f'must be in 0..{num_classes - 1}. A record without {label_key!r} reads '
      'as -1. Check task.model.num_classes, label_offset and the records. '
      'Found:')
  labels += offset
  is_valid = tf.logical_and(labels >= 0, labels < num_classes)
  found = tf.boolean_mask(labels, tf.logical_not(is_valid))
  with tf.control_dependencies(
      [tf.debugging.Assert(tf.reduce_all(is_valid), [expected, found])]):
    return tf.identity(labels)


def check(dataset: tf.data.Dataset, task: configs.ImageClassificationTask,
          data: configs.DataConfig) -> tf.data.Dataset:
  """Adds the offset to the labels of a data set, and checks their range.

  Args:
    dataset: batches of images and labels; in evaluation the labels come with
      weights.
    task: the task's configuration, resolved.
    data: the settings of the data set.

  Returns:
    The same batches; where labels are mixed or several, which were checked
    before, the data set as it is.
  """
  if task.train_data.is_multilabel or data.mixup_and_cutmix:
    return dataset

  def add_to(images, labels):
    weights = ()
    if not data.is_training:
      labels, *weights = labels
    labels = add(labels, data.label_offset or 0, task.model.num_classes,
                 task.train_data.label_field_key)
    return images, (labels, *weights) if weights else labels

  return dataset.map(add_to, num_parallel_calls=tf.data.AUTOTUNE)
