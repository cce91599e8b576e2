"""When a label counts as right: the one definition of top-1 and top-k accuracy.

Classes are ranked by their logits as `tf.math.top_k` does, equal ones by their
number, the lower first, and a label is right among k if it is one of the first
k: what is counted is what would be shown. Keras' metrics count every label
whose logit equals that of the k-th, so equal logits are 100 % right. Logits
rounded to bfloat16 are equal often.

Legend: B images, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras


def is_among_first(logits: tf.Tensor, labels: tf.Tensor, k: int) -> tf.Tensor:
  """Says of which images the label is among the k most probable classes.

  Args:
    logits: of any floating type, [B, C]; probabilities will do.
    labels: integers [B]; or, of images with several, [B, C], above 0 where an
      image has the class: then one of its labels must be.
    k: how many classes count.

  Returns:
    bool [B]; False where a logit of the image is NaN.
  """
  labels = tf.convert_to_tensor(labels)
  if labels.shape.rank > 1:
    lowest = tf.constant(-float('inf'), logits.dtype)
    labels = tf.argmax(tf.where(labels > 0, logits, lowest), axis=-1)
  labels = tf.cast(labels, tf.int32)
  own = tf.gather(logits, labels, batch_dims=1)[:, tf.newaxis]  # [B, 1]
  is_lower = tf.range(tf.shape(logits)[-1]) < labels[:, tf.newaxis]  # [B, C]
  is_before = (logits > own) | ((logits == own) & is_lower)
  num_before = tf.reduce_sum(tf.cast(is_before, tf.int32), axis=-1)
  is_number = ~tf.reduce_any(tf.math.is_nan(logits), axis=-1)
  return (num_before < k) & is_number


def telling_k(k: int, num_classes: int) -> int:
  """Returns the k that says something: among all C the label always is.

  Args:
    k: that is asked for.
    num_classes: C.

  Returns:
    k, or C - 1 where that is less, but at least 1.
  """
  return min(k, max(1, num_classes - 1))


def rows(k: int, num_classes: int) -> list[tuple[str, str, str]]:
  """Returns the accuracies that are shown.

  Args:
    k: that is asked for.
    num_classes: C.

  Returns:
    Of each a label, the metric of training and that of validation.
  """
  return [('top-1', 'accuracy', 'accuracy'), *(
      (f'top-{found}', *2 * [f'top_{found}_accuracy'])
      for found in [telling_k(k, num_classes)] if found > 1)]


def ranked(metrics: Sequence[tf_keras.metrics.Metric], k: int,
           num_classes: int) -> list[tf_keras.metrics.Metric]:
  """Puts accuracies that rank as this module does in the place of Keras'.

  Args:
    metrics: Model Garden's.
    k: of its top-k accuracy, which stays one where it is not shown.
    num_classes: C.

  Returns:
    The metrics, and the accuracy that is shown in the place of top-k.
  """
  ours = {'accuracy': 1, f'top_{k}_accuracy': k}
  found = [TopKAccuracy(ours[metric.name], metric.name)
           if metric.name in ours else metric for metric in metrics]
  shown = telling_k(k, num_classes)
  if shown not in (1, k) and any(metric.name in ours for metric in metrics):
    found.append(TopKAccuracy(shown, f'top_{shown}_accuracy'))
  return found


class TopKAccuracy(tf_keras.metrics.Mean):
  """The part of the images whose label is among the k most probable classes."""

  def __init__(self, k: int, name: str):
    """Initialises the metric.

    Args:
      k: how many classes count; 1 makes it the accuracy.
      name: of the metric.
    """
    super().__init__(name)
    self._k = k

  def update_state(self, labels: tf.Tensor, outputs: tf.Tensor,
                   sample_weight: tf.Tensor | None = None) -> None:
    """Counts a batch.

    Args:
      labels: integers [B], or [B, C] where they are one-hot or soft: then the
        largest counts.
      outputs: logits or probabilities, [B, C].
      sample_weight: weights, [B]; None: every image counts once.
    """
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank > 1:
      labels = tf.argmax(labels, axis=-1)
    return super().update_state(
        is_among_first(outputs, labels, self._k), sample_weight)

  def get_config(self):
    return {'k': self._k, 'name': self.name}
