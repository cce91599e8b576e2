"""From an image and its label to the input of a model, and the label.

Model Garden's parser resizes by the pixels around each point and normalises
with ImageNet's values. What published ViTs were trained with instead is done
here around it: it gets images that have their size already, which it leaves
as they are, and what it has normalised is normalised anew.

It crops a fraction of the short side, and of one pixel nothing is left: it
fails. Here an image that small is taken whole.

Legend: H, W sides of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from official.vision.dataloaders import classification_input
from official.vision.ops import preprocess_ops
import tensorflow as tf

from official_ext.tasks import image_files
from official_ext.tasks import normalization as normalization_lib
from official_ext.tasks import resizing as resizing_lib


class Parser(classification_input.Parser):
  """Model Garden's parser, with a normalisation and a way to resize."""

  def __init__(self, normalization: normalization_lib.Normalization,
               resizing: resizing_lib.Resizing, **settings: Any):
    """Initialises the parser.

    Args:
      normalization: what makes the model's input of RGB values.
      resizing: how images become as large as that.
      **settings: of Model Garden's parser.
    """
    super().__init__(output_size=list(resizing.size),
                     tf_resize_method=resizing.method,
                     center_crop_fraction=resizing.fraction, **settings)
    self._normalization = normalization
    self._resizing = resizing
    # They come after the normalisation, which Model Garden's is not yet.
    self._erasing, self._random_erasing = self._random_erasing, None
    self._input_dtype, self._dtype = self._dtype, tf.float32
    # It gets images of that size, and resizes nothing.
    self._of_size = classification_input.Parser(
        output_size=list(resizing.size),
        **{**settings, 'aug_crop': False, 'color_jitter': 0.0,
           'random_erasing': None, 'dtype': 'float32'})

  def decode(self, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a whole image, as Pillow does where it resizes as Pillow does.

    Args:
      encoded: string [], the bytes of a file that TensorFlow decodes.

    Returns:
      uint8 [H, W, 3], as it is stored: not turned.

    Raises:
      tf.errors.InvalidArgumentError: if it cannot be decoded.
    """
    if self._resizing.antialias:
      return image_files.decode_exactly(encoded)
    return image_files.decode(encoded)

  def _parse_train_image(self, decoded_tensors):
    if self._aug_crop and self._resizing.is_gardens:
      image = self._parse_as_garden(decoded_tensors)
    else:
      image = self._parse_pixels(self._crop(
          decoded_tensors, self._random_crop_jpeg, self._random_crop))
    image = self._normalization.from_imagenet(image)
    if self._erasing:
      image = self._erasing.distort(image)
    return tf.cast(image, self._input_dtype)

  def _parse_eval_image(self, decoded_tensors):
    if self._aug_crop and self._resizing.crops_last:
      image = self._resizing.resize_and_crop(self._pixels(decoded_tensors))
    else:
      image = self._resizing.resize(self._crop(
          decoded_tensors,
          None if self._resizing.antialias else self._center_crop_jpeg,
          self._center_crop))
    image = self._of_size.parse_fn(is_training=False)({
        self._image_field_key: image, self._label_field_key: 0})[0]
    image = self._normalization.from_imagenet(image)
    return tf.cast(image, self._input_dtype)

  def _parse_as_garden(self, decoded_tensors: Mapping[str, Any]) -> tf.Tensor:
    """Leaves an image to Model Garden, unless nothing would be left of it."""
    parse = super()._parse_train_image
    if self._crops_encoded(decoded_tensors):
      sides = tf.image.extract_jpeg_shape(
          decoded_tensors[self._image_field_key])[:2]
    else:
      # Decoded once, for whichever of the two.
      image = self._pixels(decoded_tensors)
      decoded_tensors = {**decoded_tensors, self._image_field_key: image}
      sides = tf.shape(image)[:2]
    return tf.cond(
        self._leaves_pixels(sides), lambda: parse(decoded_tensors),
        lambda: self._parse_pixels(self._pixels(decoded_tensors)))

  def _parse_pixels(self, image: tf.Tensor) -> tf.Tensor:
    """Augments and normalises an image for training.

    Args:
      image: uint8 [H, W, 3], cropped.

    Returns:
      float32 [height, width, 3] of the model's input, normalised as of
      ImageNet.
    """
    # Of whole values, as Model Garden does it.
    if self._color_jitter > 0:
      image = preprocess_ops.color_jitter(image, *[self._color_jitter] * 3)
    return self._of_size.parse_train_image({
        self._image_field_key: self._resizing.resize(image)})

  def _crop(self, decoded_tensors: Mapping[str, Any],
            crop_jpeg: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None,
            crop: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Decodes an image and crops it, if images are to be cropped.

    Args:
      decoded_tensors: the image, encoded or [H, W, 3], by its feature.
      crop_jpeg: crops the bytes of a JPEG file of a shape, int32 [3]; None:
        pixels are cropped.
      crop: crops pixels, [H, W, 3].

    Returns:
      uint8 [H, W, 3]; all of it where the crop would leave nothing.
    """
    if self._aug_crop and crop_jpeg and self._crops_encoded(decoded_tensors):
      encoded = decoded_tensors[self._image_field_key]
      shape = tf.image.extract_jpeg_shape(encoded)
      return tf.cond(
          self._leaves_pixels(shape[:2]), lambda: crop_jpeg(encoded, shape),
          lambda: self.decode(encoded))
    image = self._pixels(decoded_tensors)
    if not self._aug_crop:
      return image
    return tf.cond(
        self._leaves_pixels(tf.shape(image)[:2]), lambda: crop(image),
        lambda: image)

  def _center_crop_jpeg(self, encoded, shape):
    return preprocess_ops.center_crop_image_v2(
        encoded, shape, self._center_crop_fraction)

  def _center_crop(self, image):
    return preprocess_ops.center_crop_image(image, self._center_crop_fraction)

  def _random_crop_jpeg(self, encoded, shape):
    cropped = preprocess_ops.random_crop_image_v2(
        encoded, shape, area_range=self._crop_area_range)
    return tf.cond(
        tf.reduce_all(tf.shape(cropped) == shape),
        lambda: preprocess_ops.center_crop_image_v2(encoded, shape),
        lambda: cropped)

  def _random_crop(self, image):
    cropped = preprocess_ops.random_crop_image(
        image, area_range=self._crop_area_range)
    # Where no crop is found, as Model Garden does.
    return tf.cond(
        tf.reduce_all(tf.shape(cropped) == tf.shape(image)),
        lambda: preprocess_ops.center_crop_image(image), lambda: cropped)

  def _leaves_pixels(self, sides: tf.Tensor) -> tf.Tensor:
    """Says whether a crop of sides in px, [2], is not empty, bool []."""
    # As Model Garden's crop rounds.
    crop_side = tf.cast(
        self._center_crop_fraction * tf.cast(tf.reduce_min(sides), tf.float32),
        tf.int32)
    return crop_side > 0

  def _is_encoded(self, decoded_tensors: Mapping[str, Any]) -> bool:
    image = decoded_tensors[self._image_field_key]
    return not tf.is_tensor(image) or image.dtype == tf.string

  def _crops_encoded(self, decoded_tensors: Mapping[str, Any]) -> bool:
    """Whether a JPEG file is to be cropped as it is decoded."""
    return self._decode_jpeg_only and self._is_encoded(decoded_tensors)

  def _pixels(self, decoded_tensors: Mapping[str, Any]) -> tf.Tensor:
    """Returns an image as pixels, uint8 [H, W, 3]."""
    image = decoded_tensors[self._image_field_key]
    if self._is_encoded(decoded_tensors):
      return self.decode(tf.convert_to_tensor(image))
    return image


def evaluation_image(parser: Parser,
                     decoded_tensors: Mapping[str, tf.Tensor]) -> tf.Tensor:
  """Preprocesses one image as evaluation does.

  Args:
    parser: the parser.
    decoded_tensors: the image, encoded or uint8 [H, W, 3], and the label, by
      their features.

  Returns:
    The image, [height, width, 3] of the model's input.
  """
  return parser.parse_fn(is_training=False)(decoded_tensors)[0]
