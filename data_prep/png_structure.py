"""The structure of a PNG file, up to its end: what libpng asks for.

TensorFlow decodes with libpng, which refuses a file that does not end in IEND,
that lacks some of its pixels, or whose critical chunks have a wrong checksum or
are none that it knows. Pillow takes all of them, and with some pixels that were
damaged.

Format: PNG (third edition), section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
import zlib

START = b'\x89PNG\r\n\x1a\n'
# Length and type before a chunk's content, its checksum after it.
_HEADER, _CHECKSUM = 8, 4
_ANCILLARY = 0x20  # Of the type's first letter.
_CRITICAL = (b'IHDR', b'PLTE', b'IDAT', b'IEND')
# By color type: RGB, gray with alpha, RGBA; others have one.
_CHANNELS = {2: 3, 4: 2, 6: 4}
# Section 8.1: first column and step, first row and step of each pass.
_ADAM7 = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4),
          (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))


class InvalidPngError(ValueError):
  """The bytes are no complete PNG file; the message says why."""


def check_pixels(data: bytes) -> None:
  """Makes sure that the compressed pixels of a PNG file are all there.

  Pillow takes black for those that are missing, libpng refuses the file.

  Args:
    data: a file that `check` takes.

  Raises:
    InvalidPngError: if there are fewer, or they cannot be decompressed.
  """
  width, height = (int.from_bytes(data[start:start + 4], 'big')
                   for start in (16, 20))
  bits = data[24] * _CHANNELS.get(data[25], 1)
  passes = _ADAM7 if data[28] else ((0, 1, 0, 1),)
  # Of each row a byte says how it is filtered.
  expected = sum(
      rows * (1 + (columns * bits + 7) // 8)
      for left, across, top, down in passes
      for columns in [(width - left + across - 1) // across]
      for rows in [(height - top + down - 1) // down] if columns)
  stream = b''.join(_of_kind(data, b'IDAT'))
  try:
    # One byte more: to the checksum at the end.
    found = len(zlib.decompressobj().decompress(stream, expected + 1))
  except zlib.error as error:
    raise InvalidPngError(f'its pixels: {error}') from error
  if found < expected:
    raise InvalidPngError(
        f'truncated: {found} of {expected} bytes of pixels are there')


def check(data: bytes) -> None:
  """Walks over the chunks of a PNG file.

  Args:
    data: the whole file.

  Raises:
    InvalidPngError: if it is truncated, or a chunk that decoding needs is
      damaged or unknown.
  """
  position = len(START)
  while True:
    length = int.from_bytes(data[position:position + 4], 'big')
    end = position + _HEADER + length
    if end + _CHECKSUM > len(data):
      raise InvalidPngError('truncated: no IEND chunk')
    kind = data[position + 4:position + _HEADER]
    checksum = int.from_bytes(data[end:end + _CHECKSUM], 'big')
    if not kind[0] & _ANCILLARY and checksum != zlib.crc32(
        memoryview(data)[position + 4:end]):
      raise InvalidPngError(
          f'the checksum of a chunk {kind.decode("ascii", "replace")} is wrong')
    if not kind[0] & _ANCILLARY and kind not in _CRITICAL:
      raise InvalidPngError(
          f'a chunk {kind.decode("ascii", "replace")!a} is in no standard, but '
          'marked as one that decoding needs')
    if kind == b'IEND':
      return
    position = end + _CHECKSUM


def _of_kind(data: bytes, kind: bytes) -> Iterator[bytes]:
  position = len(START)
  while position + _HEADER <= len(data):
    length = int.from_bytes(data[position:position + 4], 'big')
    end = position + _HEADER + length
    if data[position + 4:position + _HEADER] == kind:
      yield data[position + _HEADER:end]
    position = end + _CHECKSUM
