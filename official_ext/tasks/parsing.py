"""From a decoded record to an image and a label, however small the image is.

Model Garden's parser crops a fraction of the short side, and of one pixel
nothing is left: it fails. Here an image that small is taken whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from official.vision.dataloaders import classification_input
import tensorflow as tf

from official_ext.configs import image_classification as configs


class Parser(classification_input.Parser):
  """Model Garden's parser, which also takes images too small to be cropped."""

  def __init__(self, **settings: Any):
    """Initialises the parser.

    Args:
      **settings: of Model Garden's parser.
    """
    super().__init__(**settings)
    self._whole = classification_input.Parser(**{**settings, 'aug_crop': False})

  def _parse_train_image(self, decoded_tensors):
    return self._parse(
        decoded_tensors, super()._parse_train_image,
        self._whole.parse_train_image)

  def _parse_eval_image(self, decoded_tensors):
    whole = self._whole.parse_fn(is_training=False)
    return self._parse(
        decoded_tensors, super()._parse_eval_image,
        lambda tensors: whole(tensors)[0])

  def _parse(self, decoded_tensors, parse_crop, parse_whole):
    """Crops the image, unless nothing would be left of it."""
    if not self._aug_crop:
      return parse_crop(decoded_tensors)
    image = decoded_tensors[self._image_field_key]
    is_encoded = not tf.is_tensor(image) or image.dtype == tf.string
    if is_encoded and self._decode_jpeg_only:
      sides = tf.image.extract_jpeg_shape(image)[:2]
    else:
      if is_encoded:
        image = tf.io.decode_image(image, channels=3)
        image.set_shape([None, None, 3])
        # Decoded once, for whichever of the two.
        decoded_tensors = {**decoded_tensors, self._image_field_key: image}
      sides = tf.shape(image)[:2]
    # As Model Garden's crop rounds.
    crop_side = tf.cast(
        self._center_crop_fraction * tf.cast(tf.reduce_min(sides), tf.float32),
        tf.int32)
    return tf.cond(
        crop_side > 0,
        lambda: parse_crop(decoded_tensors),
        lambda: parse_whole(decoded_tensors))


def build_parser(task: configs.ImageClassificationTask,
                 data: configs.DataConfig, **overrides) -> Parser:
  """Builds the parser of a data set.

  Args:
    task: the task's configuration.
    data: the settings of the data set.
    **overrides: settings of the parser other than the configuration's.

  Returns:
    The parser.
  """
  settings = dict(
      output_size=list(task.model.input_size[:2]),
      num_classes=task.model.num_classes,
      image_field_key=task.train_data.image_field_key,
      label_field_key=task.train_data.label_field_key,
      is_multilabel=task.train_data.is_multilabel)
  settings |= {name: getattr(data, name) for name in (
      'decode_jpeg_only', 'aug_rand_hflip', 'aug_crop', 'aug_type',
      'color_jitter', 'random_erasing', 'dtype', 'center_crop_fraction',
      'tf_resize_method', 'three_augment')}
  return Parser(**{**settings, **overrides})


def evaluation_image(parser: Parser,
                     decoded_tensors: Mapping[str, tf.Tensor]) -> tf.Tensor:
  """Preprocesses one image as evaluation does.

  Args:
    parser: what `build_parser` returned.
    decoded_tensors: the image, encoded or uint8 [height, width, 3], and the
      label, by their features.

  Returns:
    The image, [height, width, 3] of the model's input.
  """
  return parser.parse_fn(is_training=False)(decoded_tensors)[0]
