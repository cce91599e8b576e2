"""Saliency maps: which pixels move the score of a class?

Paper, figure 3, and its section 5.2.1. The score is the logit. Three methods:

- `gradient`: the gradient of the score by the image (arXiv 1312.6034), of
  which a pixel keeps the largest absolute value of its channels.
- `smoothgrad`: the mean of such gradients at images with Gaussian noise
  (arXiv 1706.03825).
- `integrated_gradients`: the mean gradient on the straight way from a black
  image, times the way (arXiv 1703.01365); a pixel keeps the absolute value of
  the sum over its channels. Over an image, attributions add up to the
  difference of the two scores.

Legend: B images, H x W their size, C classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from official_ext.analysis import command
from official_ext.analysis import pixels
from official_ext.command_line import errors
from official_ext.tasks import normalization as normalization_lib

# As in the paper of SmoothGrad: the noise is a fraction of the image's range.
_NOISE = 0.15
_NUM_NOISY = 25
# With 50 points between two images the sum is off by well under one per cent.
_NUM_POINTS = 50

LogitsFn = Callable[[tf.Tensor], tf.Tensor]


class Saliency:
  """Computes the saliency maps of one model."""

  def __init__(self, logits_fn: LogitsFn, method: str = 'gradient',
               seed: int = 0, normalization: normalization_lib.Normalization = (
                   normalization_lib.IMAGENET)):
    """Initialises the method.

    Args:
      logits_fn: from normalised images [B, H, W, 3] to logits [B, C].
      method: one of `command.SALIENCY_METHODS`.
      seed: of the noise of `smoothgrad`.
      normalization: what the images are normalised with.

    Raises:
      ValueError: if there is no such method.
    """
    errors.check_choice(
        'the method of saliency', method, command.SALIENCY_METHODS)
    self._gradient = tf.function(
        lambda images, classes: gradient(logits_fn, images, classes),
        reduce_retracing=True)
    self._method = method
    self._seed = seed
    self._normalization = normalization

  def __call__(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Computes the maps of some images.

    Args:
      images: normalised, float32 [B, H, W, 3].
      classes: whose score, int [B].

    Returns:
      float32 [B, H, W], at least 0.
    """
    attributed = self.attribute(images, classes)
    if self._method == 'integrated_gradients':
      return np.abs(attributed.sum(axis=-1))
    return np.abs(attributed).max(axis=-1)

  def attribute(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Does as the call, but keeps channels and signs: [B, H, W, 3]."""
    images = np.asarray(images, np.float32)
    classes = np.asarray(classes, np.int32)
    if self._method == 'gradient':
      return self._gradient(images, classes).numpy()
    if self._method == 'smoothgrad':
      return self._mean(self._noisy(images), _NUM_NOISY, classes)
    black = pixels.normalize(
        np.zeros_like(images), self._normalization).numpy()
    # The middles of the parts of the way: of second order in their length.
    points = ((images - black) * ((index + 0.5) / _NUM_POINTS) + black
              for index in range(_NUM_POINTS))
    return (images - black) * self._mean(points, _NUM_POINTS, classes)

  def _mean(self, variants, count: int, classes: np.ndarray) -> np.ndarray:
    """Returns the mean gradient at some variants of the images."""
    return sum(self._gradient(tf.constant(variant), classes).numpy()
               for variant in variants) / np.float32(count)

  def _noisy(self, images: np.ndarray):
    """Yields the images with noise, again and again."""
    # Every image has noise of its own, whatever the batch it is in.
    generators = [np.random.default_rng([self._seed, 0]) for _ in images]
    spans = images.max(axis=(1, 2, 3)) - images.min(axis=(1, 2, 3))
    for _ in range(_NUM_NOISY):
      yield np.stack([
          image + generator.normal(
              0, _NOISE * span, image.shape).astype(np.float32)
          for image, generator, span in zip(images, generators, spans)])


def gradient(logits_fn: LogitsFn, images: tf.Tensor,
             classes: tf.Tensor) -> tf.Tensor:
  """Returns the gradient of the scores of some classes by their images.

  Args:
    logits_fn: from normalised images to logits [B, C].
    images: [B, H, W, 3].
    classes: int [B].

  Returns:
    [B, H, W, 3].
  """
  with tf.GradientTape() as tape:
    tape.watch(images)
    logits = logits_fn(images)
    # An image's logits depend on it alone, so one sum serves them all.
    score = tf.reduce_sum(tf.gather(logits, classes, batch_dims=1))
  return tape.gradient(score, images)


def salient_area(saliency: np.ndarray, fraction: float) -> np.ndarray:
  """Returns the size of the smallest part that holds so much of the saliency.

  Args:
    saliency: [B, H, W], at least 0.
    fraction: of the sum of an image's saliency, above 0 and at most 1.

  Returns:
    The pixels in that part, divided by all, float [B]; NaN for an image
    without saliency.
  """
  values = -np.sort(-saliency.reshape(len(saliency), -1).astype(np.float64))
  sums = np.cumsum(values, axis=1)
  totals = sums[:, -1:]
  # The last entry is reached by definition, whatever the rounding.
  reached = sums >= fraction * totals * (1 - 1e-12)
  counts = 1 + np.argmax(reached, axis=1)
  return np.where(totals[:, 0] > 0, counts / values.shape[1], np.nan)
