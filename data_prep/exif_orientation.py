"""Which way up a photograph is: the orientation in its EXIF data.

One rule for every form: the first EXIF data of a file count, and in them the
first tag 274 of the first directory. What is damaged, or no orientation from 1
to 8, means 1: the pixels are as they are to be seen. The same rule is part of
the graph that serves images (`official_ext.tasks.exif_orientation`).

Format: EXIF 2.32 (CIPA DC-008), section 4.6; TIFF 6.0, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
import struct

from PIL import Image

UPRIGHT = 1
TAG = 274
# Bytes of a value by its type: SHORT, as EXIF wants it, or LONG.
_VALUES = {3: 'H', 4: 'I'}
_START = b'Exif\0\0'
_TURNED_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def of_exif(exif: bytes) -> int:
  """Returns the orientation in EXIF data.

  Args:
    exif: the data, beginning with the byte order or with 'Exif'.

  Returns:
    The orientation, 1 to 8.
  """
  return _find(exif.removeprefix(_START))[0]


def of_file(data: bytes, form: str) -> int:
  """Returns the orientation that a file says, other than a JPEG file.

  Args:
    data: the file.
    form: 'PNG', 'WebP' or 'TIFF'; other forms have no EXIF data.

  Returns:
    The orientation, 1 to 8.
  """
  if form == 'PNG':
    chunks, kind = png_chunks(data), b'eXIf'
  elif form == 'WebP':
    chunks, kind = _webp_chunks(data), b'EXIF'
  else:
    # A TIFF file is EXIF data itself.
    chunks, kind = [(form, data)], 'TIFF'
  return of_exif(next(
      (content for found, content in chunks if found == kind), b''))


def upright_tiff(data: bytes) -> bytes:
  """Returns a TIFF file with orientation 1, which nobody turns."""
  orientation, start, end = _find(data)
  if orientation == UPRIGHT:
    return data
  order = 'little' if data.startswith(b'II') else 'big'
  return data[:start] + UPRIGHT.to_bytes(end - start, order) + data[end:]


def exchanges_sides(orientation: int) -> bool:
  """Says whether an orientation makes width of height."""
  return orientation >= 5


def turn(image: Image.Image, orientation: int) -> Image.Image:
  """Returns an image as it is to be seen.

  Args:
    image: as it is stored.
    orientation: 1 to 8.

  Returns:
    The image, turned or mirrored; for 5 to 8 its sides are exchanged.
  """
  method = _TURNED_BY.get(orientation)
  return image if method is None else image.transpose(method)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
  """Yields type and content of the chunks of a PNG file, up to damage."""
  position = 8
  while position + 12 <= len(data):
    length = int.from_bytes(data[position:position + 4], 'big')
    if position + 12 + length > len(data):
      return
    yield (data[position + 4:position + 8],
           data[position + 8:position + 8 + length])
    if data.startswith(b'IEND', position + 4):
      return
    position += 12 + length


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
  position = 12
  while position + 8 <= len(data):
    length = int.from_bytes(data[position + 4:position + 8], 'little')
    yield (data[position:position + 4],
           data[position + 8:position + 8 + length])
    position += 8 + length + length % 2


def _find(exif: bytes) -> tuple[int, int, int]:
  """Returns the orientation, and where its value begins and ends."""
  order = {b'II*\0': '<', b'MM\0*': '>'}.get(exif[:4])
  try:
    first, = struct.unpack_from(f'{order}I', exif, 4)
    count, = struct.unpack_from(f'{order}H', exif, first)
    for entry in range(first + 2, first + 2 + 12 * count, 12):
      tag, kind = struct.unpack_from(f'{order}HH', exif, entry)
      # Whole entries alone.
      _ = struct.unpack_from('12x', exif, entry)
      if tag == TAG and kind in _VALUES:
        value, = struct.unpack_from(f'{order}{_VALUES[kind]}', exif, entry + 8)
        if value in _TURNED_BY:
          return value, entry + 8, entry + 8 + struct.calcsize(_VALUES[kind])
        break
  except struct.error:
    # The directory is not there, or goes on after the end.
    pass
  return UPRIGHT, 0, 0
