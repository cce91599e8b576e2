"""Decodes an image file to RGB, as operations of a graph.

What is transparent is put over white, by the formula that the conversion has
too (`data_prep.rgb_pixels`); opaque pixels stay as they are.

Legend: H, W sides of an image.
"""

from __future__ import annotations

import tensorflow as tf

from official_ext.tasks import image_header
from official_ext.tasks import image_parts

_COLOR_TYPE = 25  # Where it stands in a PNG file.
_WITH_ALPHA = (4, 6)
_WHITE = 255


def decode(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes an image, of an animation the first frame.

  Args:
    encoded: string [], the bytes of a file that TensorFlow decodes.

  Returns:
    uint8 [H, W, 3], as it is stored: not turned.

  Raises:
    tf.errors.InvalidArgumentError: if it cannot be decoded.
  """
  # Only where there is alpha: of an opaque PNG with fewer than 8 bits,
  # TensorFlow fills a fourth channel with less than 255.
  image = tf.cond(
      _has_alpha(encoded),
      lambda: _over_white(_decode(encoded, 4)), lambda: _decode(encoded, 3))
  return tf.ensure_shape(image, [None, None, 3])


def decode_exactly(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes an image to the pixels that Pillow reads of it.

  TensorFlow's own choice for JPEG files is a faster cosine transform.

  Args:
    encoded: as in `decode`.

  Returns:
    As `decode`.

  Raises:
    tf.errors.InvalidArgumentError: if it cannot be decoded.
  """
  return tf.cond(
      tf.io.is_jpeg(encoded),
      lambda: tf.io.decode_jpeg(
          encoded, channels=3, dct_method='INTEGER_ACCURATE'),
      lambda: decode(encoded))


def _decode(encoded: tf.Tensor, channels: int) -> tf.Tensor:
  image = tf.io.decode_image(
      encoded, channels=channels, expand_animations=False)
  image.set_shape([None, None, channels])
  return image


def _has_alpha(encoded: tf.Tensor) -> tf.Tensor:
  """Says whether pixels of a file may be transparent, bool []."""
  is_png = tf.strings.substr(
      encoded, 0, len(image_parts.PNG_START)) == image_parts.PNG_START
  return tf.case([
      (is_png & (tf.strings.length(encoded) > _COLOR_TYPE),
       lambda: _png_has_alpha(encoded)),
      (image_header.is_bmp(encoded),
       lambda: image_header.bmp_has_alpha(encoded)),
  ], default=lambda: tf.constant(False))


def _png_has_alpha(encoded: tf.Tensor) -> tf.Tensor:
  color_type = tf.io.decode_raw(
      tf.strings.substr(encoded, _COLOR_TYPE, 1), tf.uint8)[0]
  transparent = image_parts.find_png_chunk(encoded, b'tRNS', until=b'IDAT')
  return tf.reduce_any(color_type == _WITH_ALPHA) | (
      tf.strings.length(transparent) > 0)


def _over_white(pixels: tf.Tensor) -> tf.Tensor:
  """Puts uint8 [H, W, 4] over white: (c * a + 255 * (255 - a)) / 255."""
  colors, alpha = tf.split(tf.cast(pixels, tf.uint16), [3, 1], -1)
  blended = colors * alpha + _WHITE * (255 - alpha)  # At most 255 * 255.
  return tf.cast((blended + 127) // 255, tf.uint8)
