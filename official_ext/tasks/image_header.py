"""Reads what an encoded image claims to be, before it is decoded.

A few bytes can claim 65,535 x 65,535 pixels, for which a decoder would
allocate 12 GiB: a server refuses them by their header.
"""

from __future__ import annotations

import tensorflow as tf

from official_ext.tasks import image_parts

# 89 million pixels, 9,459 x 9,459, from which on Pillow too warns of an
# attack; 256 MiB once decoded.
MAX_PIXELS = 89_478_485
NOT_AN_IMAGE = 'not a JPEG, PNG or BMP image that can be decoded'
TOO_LARGE = 'the image claims more pixels than are decoded'
# As in the conversion: a crop of one pixel leaves nothing.
MIN_SIDE_PX = 2
TOO_SMALL = 'the image has fewer than 2 px on a side'

# Bytes up to the end of what is read here of every file.
_HEADER = 34
# Of BMP: where its header begins, its compression stands, and its masks.
_BMP_HEADER, _BMP_COMPRESSION, _BMP_MASKS = 14, 30, 54
_BMP_WITH_MASKS = _BMP_MASKS + 16
_PLAIN, _MASKED = 0, 3
# Headers of OS/2 are shorter; those with a mask for alpha are longer.
_BMP_MIN_HEADER, _BMP_ALPHA_HEADER = 40, 56
_RED_GREEN_BLUE, _ALPHA = (0xff0000, 0xff00, 0xff), 0xff000000
_OTHERS = (
    (0, b'II*\0', 'TIFF'), (0, b'MM\0*', 'TIFF'), (0, b'GIF8', 'GIF'),
    (8, b'WEBP', 'WebP'), (4, b'ftyp', 'AVIF or HEIC'),
    (0, b'BM', 'BMP of a kind that TensorFlow misreads'))


def check(encoded: tf.Tensor, max_pixels: int = MAX_PIXELS) -> tf.Tensor:
  """Refuses what is no image, or too small or too large a one.

  Args:
    encoded: string [], the bytes of a file.
    max_pixels: what height times width may be.

  Returns:
    The same bytes.

  Raises:
    tf.errors.InvalidArgumentError: if the bytes do not begin as a JPEG, PNG or
      BMP file does, are a BMP file with a palette, 16 bits or unusual masks, or
      claim a side of less than MIN_SIDE_PX or more than `max_pixels`.
  """
  sides = tf.cast(_sides(encoded), tf.float32)
  # In float32: the product of two int32 may wrap around.
  pixels = sides[0] * sides[1]
  is_image = tf.debugging.Assert(
      tf.reduce_all(sides > 0), [NOT_AN_IMAGE, _other(encoded)],
      name='is_image')
  is_small = tf.debugging.Assert(
      pixels <= max_pixels, [TOO_LARGE, sides], name='is_small')
  with tf.control_dependencies([is_image]):
    is_large = tf.debugging.Assert(
        tf.reduce_all(sides >= MIN_SIDE_PX), [TOO_SMALL, sides],
        name='is_large')
  with tf.control_dependencies([is_image, is_small, is_large]):
    return tf.identity(encoded)


def _sides(encoded: tf.Tensor) -> tf.Tensor:
  """Returns two sides in px, int32 [2]; zeros if this is no image."""
  is_long = tf.strings.length(encoded) >= _HEADER
  return tf.case([
      (tf.io.is_jpeg(encoded),
       lambda: tf.image.extract_jpeg_shape(encoded)[:2]),
      (tf.logical_and(is_long, _begins_with(encoded, image_parts.PNG_START)),
       lambda: _two_integers(encoded, 16, little_endian=False)),
      (is_bmp(encoded), lambda: _bmp_sides(encoded)),
  ], default=lambda: tf.zeros([2], tf.int32))


def is_bmp(encoded: tf.Tensor) -> tf.Tensor:
  """Says whether bytes begin as a BMP file does, bool []."""
  return (tf.strings.length(encoded) >= _HEADER) & _begins_with(encoded, b'BM')


def bmp_has_alpha(encoded: tf.Tensor) -> tf.Tensor:
  """Says whether pixels of a BMP file may be transparent, bool [].

  Of 32 bits without masks, or without one for alpha, the last 8 mean nothing.

  Args:
    encoded: string [], of which `is_bmp`.
  """
  return tf.cond(
      tf.strings.length(encoded) >= _BMP_WITH_MASKS,
      lambda: _has_masks(encoded) & (_numbers(encoded, _BMP_HEADER, 1)[0] >=
                                     _BMP_ALPHA_HEADER) & (
          _numbers(encoded, _BMP_MASKS, 4)[3] == _ALPHA),
      lambda: tf.constant(False))


def _bmp_sides(encoded: tf.Tensor) -> tf.Tensor:
  """Returns two sides in px, int32 [2]; zeros for what TensorFlow misreads.

  It would take the numbers of a palette's colors for gray values, and does
  not look at masks or at the size of the header.
  """
  bits = tf.io.decode_raw(
      tf.strings.substr(encoded, 28, 2), tf.uint16, little_endian=True)[0]
  is_plain = _numbers(encoded, _BMP_COMPRESSION, 1)[0] == _PLAIN
  is_usual = tf.cond(
      _has_masks(encoded) & (tf.strings.length(encoded) >= _BMP_WITH_MASKS),
      lambda: _has_usual_masks(encoded), lambda: is_plain)
  is_read = (bits >= 24) & is_usual & (
      _numbers(encoded, _BMP_HEADER, 1)[0] >= _BMP_MIN_HEADER)
  # A BMP stored from the top has a negative height.
  sides = tf.abs(_two_integers(encoded, 18, little_endian=True))
  return sides * tf.cast(is_read, tf.int32)


def _has_masks(encoded: tf.Tensor) -> tf.Tensor:
  return _numbers(encoded, _BMP_COMPRESSION, 1)[0] == _MASKED


def _has_usual_masks(encoded: tf.Tensor) -> tf.Tensor:
  """Says whether pixels are stored as without masks, or with alpha last."""
  masks = _numbers(encoded, _BMP_MASKS, 4)
  has_alpha_mask = (_numbers(encoded, _BMP_HEADER, 1)[0] >=
                    _BMP_ALPHA_HEADER) & (masks[3] != 0)
  return tf.reduce_all(masks[:3] == _RED_GREEN_BLUE) & (
      ~has_alpha_mask | (masks[3] == _ALPHA))


def _numbers(encoded: tf.Tensor, position: int, count: int) -> tf.Tensor:
  """Returns numbers of 32 bits without a sign, int64 [count]."""
  raw = tf.io.decode_raw(
      tf.strings.substr(encoded, position, 4 * count), tf.int32,
      little_endian=True)
  return tf.cast(raw, tf.int64) % 2**32


def _other(encoded: tf.Tensor) -> tf.Tensor:
  """Names the form of a file that is not taken, string []."""
  # Long enough to be looked at everywhere.
  padded = encoded + tf.constant(bytes(_HEADER))
  return tf.case([
      (tf.strings.substr(padded, position, len(start)) == start,
       lambda name=name: tf.constant(f'it is {name}; save it as PNG'))
      for position, start, name in _OTHERS
  ], default=lambda: tf.constant('it is none'))


def _begins_with(encoded: tf.Tensor, start: bytes) -> tf.Tensor:
  return tf.equal(tf.strings.substr(encoded, 0, len(start)), start)


def _two_integers(encoded: tf.Tensor, position: int,
                  little_endian: bool) -> tf.Tensor:
  """Returns the two int32 at a position."""
  return tf.io.decode_raw(
      tf.strings.substr(encoded, position, 8), tf.int32,
      little_endian=little_endian)
