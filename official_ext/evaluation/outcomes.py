"""What a model answered about every image, in few numbers each.

Legend: N images, B of a batch, C classes, K most probable classes.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

import numpy as np
import tensorflow as tf

# The mean loss of a batch, of logits [B, C] and labels [B].
Loss = Callable[[np.ndarray, np.ndarray], float]


@dataclasses.dataclass(frozen=True)
class Outcomes:
  """What is kept of a validation set: of C logits an image, only a few numbers.

  Attributes:
    labels: the classes, int32 [N].
    top_classes: the most probable classes, the first is the prediction, int32
      [N, K]; equal ones by their number, as `ranking` has them.
    top_probabilities: theirs, float32 [N, K].
    label_probabilities: of the labels, float32 [N].
    cross_entropies: minus their logarithms, float32 [N].
    loss: the mean of the loss that the model was trained with; None: it is not
      known.
  """
  labels: np.ndarray
  top_classes: np.ndarray
  top_probabilities: np.ndarray
  label_probabilities: np.ndarray
  cross_entropies: np.ndarray
  loss: float | None

  @property
  def predicted(self) -> np.ndarray:
    """The most probable class of every image, int32 [N]."""
    return self.top_classes[:, 0]

  @property
  def confidences(self) -> np.ndarray:
    """The probability of that class, float32 [N]."""
    return self.top_probabilities[:, 0]

  def is_right(self, k: int = 1) -> np.ndarray:
    """Says of which images the label is among the first `k` classes, bool [N].

    Args:
      k: at most K.
    """
    return (self.top_classes[:, :k] == self.labels[:, np.newaxis]).any(axis=1)


class Collector:
  """Adds batches up to `Outcomes`."""

  def __init__(self, top_k: int, loss: Loss | None = None):
    """Initialises it.

    Args:
      top_k: K.
      loss: the loss that the model was trained with.
    """
    self._top_k = top_k
    self._loss = loss
    self._loss_sum = 0.0
    self._batches: list[tuple[np.ndarray, ...]] = []
    self._num_images = 0

  def add(self, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Adds a batch.

    Args:
      logits: float32 [B, C].
      labels: int [B].

    Returns:
      The cross-entropies of its images, float32 [B].

    Raises:
      ValueError: if a logit is no number, naming the image.
    """
    is_number = np.isfinite(logits).all(axis=1)
    if not is_number.all():
      raise ValueError(
          f'image {self._num_images + int(np.argmin(is_number))} has logits '
          'that are not finite: the weights are damaged, or the training has '
          'diverged. Name another checkpoint.')
    # As evaluation ranks them: by logits, of which different ones may round to
    # one probability.
    _, top_classes = tf.math.top_k(logits, self._top_k)
    top_classes = top_classes.numpy()
    log_probabilities = tf.nn.log_softmax(
        tf.cast(logits, tf.float64)).numpy()  # [B, C]
    own = np.take_along_axis(
        log_probabilities, labels[:, np.newaxis], axis=1)[:, 0]  # [B]
    top = np.take_along_axis(log_probabilities, top_classes, axis=1)  # [B, K]
    batch = (labels.astype(np.int32), top_classes,
             *(values.astype(np.float32)
               for values in (np.exp(top), np.exp(own), -own)))
    self._batches.append(batch)
    if self._loss:
      self._loss_sum += self._loss(logits, labels) * len(labels)
    self._num_images += len(labels)
    return batch[-1]

  def outcomes(self) -> Outcomes:
    """Returns what was added, at least one batch."""
    return Outcomes(
        *map(np.concatenate, zip(*self._batches)),
        loss=self._loss_sum / self._num_images if self._loss else None)
