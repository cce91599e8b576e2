"""Crops and resizes images for an evaluation, in any of the published orders.

Model Garden crops first. torchvision and timm resize the short side first, and
some processors of Hugging Face both sides, whatever their ratio: with the same
fraction they see the same part of an image, up to a pixel that a size is
rounded by, and other pixels next to its edge.

Legend: H, W sides of an image; h, w sides of the model's input.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import tensorflow as tf

from official_ext.configs import image_classification
from official_ext.configs import preprocessing

# Sizes that a quotient such as 224 / (224 / 248) misses by its rounding.
_TINY = 1e-6


@dataclasses.dataclass(frozen=True)
class Resizing:
  """How images become as large as the model's input.

  Attributes:
    size: (h, w), px.
    method: of tf.image.resize.
    antialias: whether images are made smaller as Pillow does it.
    mode: one of preprocessing.RESIZE_MODES.
    fraction: the side of the model's input as a part of the short side.
  """
  size: tuple[int, int]
  method: str
  antialias: bool
  mode: str
  fraction: float

  @property
  def is_gardens(self) -> bool:
    """Whether Model Garden's training resizes so."""
    # The nearest pixel stays a whole value, which it takes for a fraction of
    # white.
    return not self.antialias and self.method != 'nearest'

  @property
  def crops_last(self) -> bool:
    return self.mode != preprocessing.CROP_THEN_RESIZE

  def resize(self, image: tf.Tensor,
             size: Sequence[int | tf.Tensor] | None = None) -> tf.Tensor:
    """Resizes an image.

    Args:
      image: [H, W, 3], RGB values of 0 to 255.
      size: of the result; None: of the model's input.

    Returns:
      float32 [h, w, 3].
    """
    size = self.size if size is None else size
    image = tf.cast(image, tf.float32)
    if not self.antialias:
      return tf.image.resize(image, size, self.method)
    # As Pillow: rows first, and whole values after either pass.
    for target in ([tf.shape(image)[0], size[1]], size):
      image = tf.image.resize(image, target, self.method, antialias=True)
      image = tf.clip_by_value(tf.floor(image + 0.5), 0, 255)
    return image

  def resize_and_crop(self, image: tf.Tensor) -> tf.Tensor:
    """Resizes a whole image, and takes the middle of it.

    Args:
      image: [H, W, 3], RGB values of 0 to 255.

    Returns:
      float32 [h, w, 3].
    """
    enlarged = enlarged_size(self.size, self.fraction)
    if self.mode == preprocessing.RESIZE_THEN_CROP:
      enlarged = _same_ratio(tf.shape(image, tf.int64)[:2], enlarged)
    image = self.resize(image, enlarged)
    top, left = [(tf.cast(side, tf.int32) - kept) // 2
                 for side, kept in zip(enlarged, self.size)]
    return tf.image.crop_to_bounding_box(image, top, left, *self.size)


def enlarged_size(size: Sequence[int], fraction: float) -> tuple[int, ...]:
  """Returns what an image becomes before its middle is taken.

  Args:
    size: of the middle, px.
    fraction: of the image that it is.

  Returns:
    The sides, px; rounded down, as timm does.
  """
  return tuple(int(side / fraction + _TINY) for side in size)


def _same_ratio(sides: tf.Tensor, least: Sequence[int]) -> list[tf.Tensor]:
  """Returns the smallest size of an image's ratio that covers another.

  Args:
    sides: int64 [2], of the image.
    least: the size to cover.

  Returns:
    Two int32; rounded down, as torchvision does.
  """
  covers_height = least[0] * sides[1] >= least[1] * sides[0]
  height = tf.where(
      covers_height, tf.cast(least[0], tf.int64),
      sides[0] * least[1] // sides[1])
  width = tf.where(
      covers_height, sides[1] * least[0] // sides[0],
      tf.cast(least[1], tf.int64))
  return [tf.cast(height, tf.int32), tf.cast(width, tf.int32)]


def of_data(data: image_classification.DataConfig,
            trained: image_classification.DataConfig,
            size: Sequence[int]) -> Resizing:
  """Returns how the images of a data set are resized.

  Args:
    data: the settings of the data set.
    trained: those of the training data, which it follows where it is silent.
    size: (h, w), px.

  Returns:
    What a configuration says; of one of a version that had no choice, what
    Model Garden does.
  """
  return Resizing(
      tuple(size), data.tf_resize_method,
      preprocessing.antialiases(data, trained), data.resize_mode,
      data.center_crop_fraction)
