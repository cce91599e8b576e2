"""The structure of a PNG file, up to its end: what libpng asks for.

TensorFlow decodes with libpng, which refuses a file that does not end in IEND,
or whose critical chunks have a wrong checksum or are none that it knows. Pillow
takes all of them, and with some pixels that were damaged.

Format: PNG (third edition), section 5.
"""

from __future__ import annotations

import zlib

START = b'\x89PNG\r\n\x1a\n'
# Length and type before a chunk's content, its checksum after it.
_HEADER, _CHECKSUM = 8, 4
_ANCILLARY = 0x20  # Of the type's first letter.
_CRITICAL = (b'IHDR', b'PLTE', b'IDAT', b'IEND')


class InvalidPngError(ValueError):
  """The bytes are no complete PNG file; the message says why."""


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
