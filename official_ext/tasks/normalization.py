"""The normalisation of images, and its reverse."""

from __future__ import annotations

import dataclasses

import numpy as np
from official.vision.ops import preprocess_ops
import tensorflow as tf

from official_ext.configs import image_classification
from official_ext.configs import preprocessing


@dataclasses.dataclass(frozen=True)
class Normalization:
  """What makes RGB values of 0 to 255 the input of a model.

  Attributes:
    mean: subtracted from red, green and blue.
    stddev: what they are divided by then.
  """
  mean: tuple[float, ...] = preprocessing.MEAN_RGB
  stddev: tuple[float, ...] = preprocessing.STDDEV_RGB

  def normalize(self, images: tf.Tensor) -> tf.Tensor:
    """Normalises images, as the input pipeline does.

    Args:
      images: float [..., 3], RGB values of 0 to 255.

    Returns:
      The same less the mean, divided by the standard deviation.
    """
    return preprocess_ops.normalize_image(
        images, offset=self.mean, scale=self.stddev)

  def denormalize(self, images: np.ndarray) -> np.ndarray:
    """Returns normalised images, float32 [..., 3], to values of 0 to 255."""
    return (images * np.array(self.stddev, np.float32) +
            np.array(self.mean, np.float32))

  def from_imagenet(self, images: tf.Tensor) -> tf.Tensor:
    """Normalises anew what was normalised with ImageNet's values.

    Args:
      images: float32 [..., 3], as Model Garden normalises all.

    Returns:
      The same, the identical tensor where the values are ImageNet's.
    """
    if self == IMAGENET:
      return images
    scale = np.divide(IMAGENET.stddev, self.stddev)
    shift = np.divide(np.subtract(IMAGENET.mean, self.mean), self.stddev)
    return images * scale.astype(np.float32) + shift.astype(np.float32)


IMAGENET = Normalization()


def of_task(task: image_classification.ImageClassificationTask
            ) -> Normalization:
  """Returns the normalisation that a model is trained and used with.

  Args:
    task: the task's configuration; one of a version that had no choice has
      ImageNet's.
  """
  data = task.train_data
  return Normalization(tuple(preprocessing.mean_rgb(data)),
                       tuple(preprocessing.stddev_rgb(data)))
