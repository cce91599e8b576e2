"""Images as the models take them, and as a screen shows them.

Models take RGB values minus a mean, divided by a standard deviation
("normalised"); a figure takes values from 0 to 1.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from official_ext.tasks import normalization as normalization_lib

# What red, green and blue give to the luminance (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114])


def normalize(images: tf.Tensor,
              normalization: normalization_lib.Normalization) -> tf.Tensor:
  """Returns images of RGB values from 0 to 1, [..., 3], normalised."""
  return normalization.normalize(255 * images)


def displayable(images: np.ndarray,
                normalization: normalization_lib.Normalization) -> np.ndarray:
  """Returns normalised images [..., 3] as RGB values from 0 to 1."""
  return np.clip(normalization.denormalize(images) / 255, 0, 1)


def luminance(images: np.ndarray) -> np.ndarray:
  """Returns the luminance, [...], of images of RGB values, [..., 3]."""
  return images @ _LUMINANCE
