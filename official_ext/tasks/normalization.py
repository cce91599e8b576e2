"""The normalisation of images, and its reverse."""

from __future__ import annotations

import numpy as np
from official.vision.ops import preprocess_ops
import tensorflow as tf

# Of ImageNet's red, green and blue, 0 to 255.
MEAN = tuple(preprocess_ops.MEAN_RGB)
STDDEV = tuple(preprocess_ops.STDDEV_RGB)


def normalize(images: tf.Tensor) -> tf.Tensor:
  """Normalises images, as the input pipeline does.

  Args:
    images: [..., 3], RGB values of 0 to 255.

  Returns:
    The same less the mean, divided by the standard deviation.
  """
  return preprocess_ops.normalize_image(images, offset=MEAN, scale=STDDEV)


def denormalize(images: np.ndarray) -> np.ndarray:
  """Returns normalised images, float32 [..., 3], to values of 0 to 255."""
  return images * np.array(STDDEV, np.float32) + np.array(MEAN, np.float32)
