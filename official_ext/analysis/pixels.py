"""Images as the models take them, and as a screen shows them.

Models take RGB values minus their mean over ImageNet, divided by their
standard deviation ("normalised"); a figure takes values from 0 to 1.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from official_ext.tasks import normalization

# What red, green and blue give to the luminance (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114])


def normalize(images: tf.Tensor) -> tf.Tensor:
  """Returns images of RGB values from 0 to 1, [..., 3], normalised."""
  return normalization.normalize(255 * images)


def displayable(images: np.ndarray) -> np.ndarray:
  """Returns normalised images [..., 3] as RGB values from 0 to 1."""
  return np.clip(normalization.denormalize(images) / 255, 0, 1)


def luminance(images: np.ndarray) -> np.ndarray:
  """Returns the luminance, [...], of images of RGB values, [..., 3]."""
  return images @ _LUMINANCE
