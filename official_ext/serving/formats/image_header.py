"""Reads what an encoded image claims to be, before it is decoded.

A few bytes can claim 65,535 x 65,535 pixels, for which a decoder would
allocate 12 GiB: a server refuses them by their header.
"""

from __future__ import annotations

import tensorflow as tf

# 89 million pixels, 9,459 x 9,459, from which on Pillow too warns of an
# attack; 256 MiB once decoded.
MAX_PIXELS = 89_478_485
NOT_AN_IMAGE = 'not a JPEG, PNG or BMP image that can be decoded'
TOO_LARGE = 'the image claims more pixels than are decoded'

_PNG = b'\x89PNG\r\n\x1a\n'
# Bytes up to the end of what is read here.
_HEADER = 30


def check(encoded: tf.Tensor, max_pixels: int = MAX_PIXELS) -> tf.Tensor:
  """Refuses what is no image, or too large a one.

  Args:
    encoded: string [], the bytes of a file.
    max_pixels: what height times width may be.

  Returns:
    The same bytes.

  Raises:
    tf.errors.InvalidArgumentError: if the bytes do not begin as a JPEG, PNG or
      BMP file does, are a BMP file with a palette, or claim a size of 0 or of
      more than `max_pixels`.
  """
  sides = tf.cast(_sides(encoded), tf.float32)
  # In float32: the product of two int32 may wrap around.
  pixels = sides[0] * sides[1]
  is_image = tf.debugging.Assert(
      tf.reduce_all(sides > 0), [NOT_AN_IMAGE], name='is_image')
  is_small = tf.debugging.Assert(
      pixels <= max_pixels, [TOO_LARGE, sides], name='is_small')
  with tf.control_dependencies([is_image, is_small]):
    return tf.identity(encoded)


def _sides(encoded: tf.Tensor) -> tf.Tensor:
  """Returns two sides in px, int32 [2]; zeros if this is no image."""
  is_long = tf.strings.length(encoded) >= _HEADER
  return tf.case([
      (tf.io.is_jpeg(encoded),
       lambda: tf.image.extract_jpeg_shape(encoded)[:2]),
      (tf.logical_and(is_long, _begins_with(encoded, _PNG)),
       lambda: _two_integers(encoded, 16, little_endian=False)),
      (tf.logical_and(is_long, _begins_with(encoded, b'BM')),
       lambda: _bmp_sides(encoded)),
  ], default=lambda: tf.zeros([2], tf.int32))


def _bmp_sides(encoded: tf.Tensor) -> tf.Tensor:
  """Returns two sides in px, int32 [2]; zeros for a BMP with a palette.

  TensorFlow would take the numbers of the palette's colours for grey values.
  """
  bits = tf.io.decode_raw(
      tf.strings.substr(encoded, 28, 2), tf.uint16, little_endian=True)[0]
  # A BMP stored from the top has a negative height.
  sides = tf.abs(_two_integers(encoded, 18, little_endian=True))
  return sides * tf.cast(bits >= 24, tf.int32)


def _begins_with(encoded: tf.Tensor, start: bytes) -> tf.Tensor:
  return tf.equal(tf.strings.substr(encoded, 0, len(start)), start)


def _two_integers(encoded: tf.Tensor, position: int,
                  little_endian: bool) -> tf.Tensor:
  """Returns the two int32 at a position."""
  return tf.io.decode_raw(
      tf.strings.substr(encoded, position, 8), tf.int32,
      little_endian=little_endian)
