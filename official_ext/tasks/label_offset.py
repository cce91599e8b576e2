"""Brings labels of a data set to the classes of the model, and checks them.

Legend: B batch, C classes.
"""

from __future__ import annotations

import tensorflow as tf

from official_ext.tasks import bad_records

# Rounding of soft labels (mixup, cutmix), which sum to 1 for every image.
_TOLERANCE = 1e-3


def add(labels: tf.Tensor, offset: int, num_classes: int, label_key: str,
        label_smoothing: float = 0.0) -> tf.Tensor:
  """Adds the offset of the data set to labels and checks their range.

  Args:
    labels: int [B], or float [B, C] where they are soft.
    offset: what to add to each label.
    num_classes: C.
    label_key: feature of the record that holds the label, for the message.
    label_smoothing: mass that soft labels spread over all classes.

  Returns:
    The labels, of the same shape and type.

  Raises:
    tf.errors.InvalidArgumentError: if a label is outside 0..C-1.
  """
  expected = (
      f'{bad_records.BAD_LABEL}: after adding label_offset {offset}, labels '
      f'must be in 0..{num_classes - 1}. A record without {label_key!r} reads '
      'as -1. Check task.model.num_classes, label_offset and the records. '
      'Found:')
  if labels.shape.rank == 1:
    labels += offset
    is_valid = tf.logical_and(labels >= 0, labels < num_classes)
    found = tf.boolean_mask(labels, tf.logical_not(is_valid))
  else:
    # Class c becomes c + offset, and what wraps round may only be the mass that
    # smoothing gave to classes without images.
    wrapped = labels[:, num_classes - offset:] if offset > 0 else (
        labels[:, :-offset])  # [B, C] -> [B, |offset|]
    spread = label_smoothing / num_classes
    is_valid = tf.logical_and(
        tf.abs(tf.reduce_sum(labels, axis=-1) - 1) < _TOLERANCE,
        tf.reduce_all(wrapped < spread + _TOLERANCE, axis=-1))  # [B]
    found = tf.constant('in a batch of mixed images')
    labels = tf.roll(labels, offset, axis=-1)
  with tf.control_dependencies(
      [tf.debugging.Assert(tf.reduce_all(is_valid), [expected, found])]):
    return tf.identity(labels)
