"""Finds a part of an image file by its name, as operations of a graph.

A PNG file is a row of chunks, a JPEG file one of segments, each with its length
before it: they are walked over, from one to the next. Where a file is damaged
the walk ends, and nothing is found.

Format: PNG (third edition), section 5.3; ITU-T T.81, annex B.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

PNG_START = b'\x89PNG\r\n\x1a\n'
# Length and type before a chunk's content, its checksum after it.
_CHUNK_HEADER, _CHUNK_FRAME = 8, 12
_END_OF_PNG = b'IEND'
# Marker, length and the name that the content of a segment begins with.
_SEGMENT_HEADER = 10
_FIRST_APP, _LAST_APP, _COMMENT, _FILL = 0xE0, 0xEF, 0xFE, 0xFF
_APP1, _EXIF = b'\xff\xe1', b'Exif\0\0'


def find_png_chunk(encoded: tf.Tensor, kind: bytes,
                   until: bytes = _END_OF_PNG) -> tf.Tensor:
  """Returns the content of a PNG file's first chunk of a type.

  Args:
    encoded: string [], the bytes of a PNG file.
    kind: the type, four bytes.
    until: the type of the chunks at which to stop.

  Returns:
    string [], empty if there is no such chunk.
  """
  end = tf.strings.length(encoded)

  def step(position):
    header = tf.strings.substr(encoded, position, _CHUNK_HEADER)
    length = tf.cast(_number(header, 0, 4), tf.int64)
    found = tf.strings.substr(header, 4, 4)
    is_whole = length <= tf.cast(end - position - _CHUNK_FRAME, tf.int64)
    is_wanted = is_whole & (found == kind)
    goes_on = is_whole & (found != kind) & (found != until)
    length = tf.cast(tf.where(is_whole, length, 0), tf.int32)
    return (goes_on, tf.where(is_wanted, position + _CHUNK_HEADER, 0), length,
            position + _CHUNK_FRAME + length)

  return _walk(encoded, len(PNG_START), _CHUNK_FRAME, step)


def find_exif_segment(encoded: tf.Tensor) -> tf.Tensor:
  """Returns the first EXIF data of a JPEG file.

  Args:
    encoded: string [], the bytes of a JPEG file.

  Returns:
    string [], without the 'Exif' before them; empty if there are none among
    the application data and comments that the file begins with.
  """
  def step(position):
    header = tf.strings.substr(encoded, position, _SEGMENT_HEADER)
    first, marker, high, low, *_ = tf.unstack(
        tf.cast(tf.io.decode_raw(header, tf.uint8), tf.int32),
        num=_SEGMENT_HEADER)
    length = 256 * high + low
    is_exif = tf.strings.substr(header, 0, 2) == _APP1
    is_exif &= tf.strings.substr(header, 4, len(_EXIF)) == _EXIF
    # Any number of FF may fill the place before a marker.
    is_fill = marker == _FILL
    is_passed = is_fill | (marker == _COMMENT) | (
        (marker >= _FIRST_APP) & (marker <= _LAST_APP))
    return ((first == _FILL) & is_passed & ~is_exif,
            tf.where(is_exif, position + _SEGMENT_HEADER, 0),
            tf.maximum(length - 2 - len(_EXIF), 0),
            position + tf.where(is_fill, 1, 2 + length))

  return _walk(encoded, 2, _SEGMENT_HEADER, step)


def _walk(encoded: tf.Tensor, start: int, header_bytes: int,
          step: Callable) -> tf.Tensor:
  """Walks over the parts of a file.

  Args:
    encoded: string [], the file.
    start: where its first part begins.
    header_bytes: how much of a part must be there.
    step: from where a part begins to whether to go on, where the content that
      is wanted begins (0: not in this part), its length, and the next part.

  Returns:
    string [], the content; empty if it was not found.
  """
  last = tf.strings.length(encoded) - header_bytes
  _, _, found, length = tf.while_loop(
      lambda goes_on, position, *_: goes_on & (position <= last),
      lambda goes_on, position, *_: _reordered(step(position)),
      (True, start, 0, 0))
  return tf.cond(
      found > 0, lambda: tf.strings.substr(encoded, found, length),
      lambda: tf.constant(b''))


def _reordered(stepped):
  goes_on, found, length, position = stepped
  return goes_on, position, found, length


def _number(header: tf.Tensor, position: int, num_bytes: int) -> tf.Tensor:
  """Returns a number, its first byte the highest, int32 []."""
  digits = tf.cast(tf.io.decode_raw(
      tf.strings.substr(header, position, num_bytes), tf.uint8), tf.int64)
  weights = [256**place for place in reversed(range(num_bytes))]
  number = tf.reduce_sum(digits * tf.constant(weights, tf.int64))
  return tf.cast(tf.minimum(number, tf.int32.max), tf.int32)
