"""Which classes an evaluation takes for which, counted on the devices.

Legend: B images, C classes.
"""

from __future__ import annotations

from official.core import config_definitions as cfg
import tensorflow as tf
import tf_keras

# All pairs are kept on every device: of so many classes, 64 MB.
MAX_CLASSES = 4_000


class ConfusionCounts(tf_keras.metrics.Metric):
  """Counts images by their class and the class that they are taken for.

  What only fills a batch up has weight 0, and is not counted; over replicas and
  workers the counts are added.
  """

  def __init__(self, num_classes: int):
    """Initialises the counts.

    Args:
      num_classes: C.
    """
    super().__init__('confusion_counts', dtype=tf.float32)
    self._num_classes = num_classes
    self._counts = self.add_weight(
        'counts', [num_classes] * 2, initializer='zeros')

  def update_state(self, labels: tf.Tensor, outputs: tf.Tensor,
                   sample_weight: tf.Tensor | None = None) -> None:
    """Counts a batch.

    Args:
      labels: integers [B], or [B, C] where they are one-hot.
      outputs: logits or probabilities, [B, C]; of equal ones the first counts,
        as `tasks.ranking` has it.
      sample_weight: 1, or 0 for what does not count, [B].
    """
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank > 1:
      labels = tf.argmax(labels, axis=-1)
    self._counts.assign_add(tf.math.confusion_matrix(
        labels, tf.argmax(outputs, axis=-1), self._num_classes,
        weights=sample_weight, dtype=tf.float32))

  def reset_state(self) -> None:
    """Begins anew."""
    self._counts.assign(tf.zeros_like(self._counts))

  def result(self) -> tf.Tensor:
    """Returns the counts by label and prediction, float32 [C, C]."""
    return tf.convert_to_tensor(self._counts)


def check(params: cfg.ExperimentConfig) -> None:
  """Refuses a confusion matrix where there is none.

  Args:
    params: the experiment's configuration.

  Raises:
    ValueError: if images have several labels, or classes are too many.
  """
  if not params.trainer.logging.confusion_matrix:
    return
  why, num_classes = '', params.task.model.num_classes
  if params.task.train_data.is_multilabel:
    why = ('images have several labels (task.train_data.is_multilabel): no one '
           'class is taken for another')
  elif num_classes > MAX_CLASSES:
    why = (f'task.model.num_classes is {num_classes:,}: all pairs of more than '
           f'{MAX_CLASSES:,} are not counted while a training runs')
  if why:
    raise ValueError(
        f'trainer.logging.confusion_matrix is true, but {why}. Set it to '
        'false; python -m official_ext.evaluate has the figures of every '
        'class.')


def create(params: cfg.ExperimentConfig) -> list[ConfusionCounts]:
  """Returns what counts, as a list of metrics: empty if none is asked for.

  Args:
    params: the experiment's configuration, which `check` has let pass.
  """
  if not params.trainer.logging.confusion_matrix:
    return []
  return [ConfusionCounts(params.task.model.num_classes)]
