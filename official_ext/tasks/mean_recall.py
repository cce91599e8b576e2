"""The mean of the classes' recalls, in which a rare class counts as a frequent.

With uneven classes the accuracy is that of the frequent ones. scikit-learn
calls this mean `balanced_accuracy_score`.

Legend: B images, C classes.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from official_ext.tasks import ranking

NAME = 'mean_recall'


class MeanRecall(tf_keras.metrics.Metric):
  """The mean, over the classes that there are images of, of the part right."""

  def __init__(self, num_classes: int):
    """Initialises the counts.

    Args:
      num_classes: C.
    """
    super().__init__(NAME, dtype=tf.float32)
    self._num_classes = num_classes
    self._num_images, self._num_right = (
        self.add_weight(name, [num_classes], initializer='zeros')
        for name in ('num_images', 'num_right'))

  def update_state(self, labels: tf.Tensor, outputs: tf.Tensor,
                   sample_weight: tf.Tensor | None = None) -> None:
    """Counts a batch.

    Args:
      labels: integers [B], or [B, C] where they are one-hot.
      outputs: logits or probabilities, [B, C]; right is what
        `ranking.is_among_first` says.
      sample_weight: 1, or 0 for what does not count, [B]; None: all count.
    """
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank > 1:
      labels = tf.argmax(labels, axis=-1)
    labels = tf.cast(labels, tf.int32)
    is_right = tf.cast(ranking.is_among_first(outputs, labels, 1), tf.float32)
    weights = tf.ones_like(is_right) if sample_weight is None else (
        tf.cast(sample_weight, tf.float32))
    for counts, values in ((self._num_images, weights),
                           (self._num_right, weights * is_right)):
      counts.assign_add(
          tf.math.unsorted_segment_sum(values, labels, self._num_classes))

  def reset_state(self) -> None:
    """Begins anew."""
    for counts in (self._num_images, self._num_right):
      counts.assign(tf.zeros_like(counts))

  def result(self) -> tf.Tensor:
    """Returns the mean, float32 []; 0 if no image was counted."""
    # [C], 0 of classes without images.
    recalls = tf.math.divide_no_nan(self._num_right, self._num_images)
    is_known = tf.cast(tf.convert_to_tensor(self._num_images) > 0, tf.float32)
    return tf.math.divide_no_nan(
        tf.reduce_sum(recalls), tf.reduce_sum(is_known))

  def get_config(self):
    return {'num_classes': self._num_classes}
