"""Image files made byte by byte, of the kinds that Pillow does not write.

The samples go in as whole numbers (or floats), so that what a decoder makes of
a file can be compared with what is meant, not with what another decoder says.

Legend: H rows, W columns, S samples of a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
import struct
import types
import zlib

import numpy as np

PNG_START = b'\x89PNG\r\n\x1a\n'
# Samples of a pixel by PNG's color type: grey, RGB, palette, LA, RGBA.
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Of a pass the first row and column, and the steps to the next.
_ONCE = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2),
          (0, 1, 2, 2), (1, 0, 2, 1))
_TIFF_TYPES = {'B': 1, 'H': 3, 'I': 4, 'U': 7}
_ADOBE_DEFLATE = 8


def png(samples: np.ndarray, bits: int, color: int,
        before_pixels: tuple[tuple[bytes, bytes], ...] = (),
        after_pixels: tuple[tuple[bytes, bytes], ...] = (),
        interlaced: bool = False) -> bytes:
  """Returns a PNG file.

  Args:
    samples: whole numbers, [H, W, S].
    bits: of a sample, 1 to 16.
    color: the color type: 0 grey, 2 RGB, 3 palette, 4 LA, 6 RGBA.
    before_pixels: (type, content) of chunks before the pixels, such as PLTE.
    after_pixels: of chunks after them.
    interlaced: whether the pixels come in seven passes (Adam7).
  """
  height, width, count = samples.shape
  if count != _PNG_SAMPLES[color]:
    raise ValueError(f'{count} samples, but color type {color} has '
                     f'{_PNG_SAMPLES[color]}.')
  passes = [samples[top::down, left::across]
            for top, left, down, across in (_ADAM7 if interlaced else _ONCE)]
  rows = b''.join(b'\0' + _packed(row, bits, '>')
                  for part in passes for row in part if row.size)
  header = struct.pack(
      '>IIBBBBB', width, height, bits, color, 0, 0, interlaced)
  return PNG_START + b''.join(
      png_chunk(*chunk) for chunk in (
          (b'IHDR', header), *before_pixels, (b'IDAT', zlib.compress(rows)),
          *after_pixels, (b'IEND', b'')))


def png_chunk(kind: bytes, content: bytes) -> bytes:
  """Returns a chunk with its length and checksum."""
  return (len(content).to_bytes(4, 'big') + kind + content +
          zlib.crc32(kind + content).to_bytes(4, 'big'))


def with_png_chunk(encoded: bytes, kind: bytes, content: bytes) -> bytes:
  """Returns a PNG file with one chunk more, after its header."""
  after_header = len(PNG_START) + 25
  return (encoded[:after_header] + png_chunk(kind, content) +
          encoded[after_header:])


def tiff(samples: np.ndarray, bits: int, photometric: int, order: str = '<',
         planar: bool = False, tile_px: int = 0, deflate: bool = False,
         fill_order: int = 1, sample_format: int = 1,
         tags: Mapping[int, tuple[str, tuple]] = types.MappingProxyType({})
         ) -> bytes:
  """Returns a TIFF file of one image.

  Args:
    samples: [H, W, S].
    bits: of a sample.
    photometric: 0 zero is white, 1 zero is black, 2 RGB, 3 palette, 5 CMYK,
      6 YCbCr, 8 Lab.
    order: of the bytes, '<' (II) or '>' (MM).
    planar: whether each sample has a plane of its own.
    tile_px: side of the square tiles; 0: one strip for each plane.
    deflate: whether the pixels are compressed.
    fill_order: 2 puts the first pixel into the lowest bits.
    sample_format: 1 whole numbers, 2 with a sign, 3 floats.
    tags: (type, values) by number, of types B, H, I and U (bytes).
  """
  height, width, count = samples.shape
  planes = ([samples[..., index:index + 1] for index in range(count)]
            if planar else [samples])
  blocks = [block for plane in planes for block in _blocks(plane, tile_px)]
  kind = {1: 'u', 2: 'i', 3: 'f'}[sample_format]
  encoded = [b''.join(_packed(row, bits, order, kind) for row in block)
             for block in blocks]
  if fill_order == 2:
    encoded = [_reversed_bits(block) for block in encoded]
  if deflate:
    encoded = [zlib.compress(block) for block in encoded]
  starts = np.cumsum([8, *(len(block) for block in encoded)]).tolist()
  entries = {
      256: ('I', (width,)), 257: ('I', (height,)), 258: ('H', (bits,) * count),
      259: ('H', (_ADOBE_DEFLATE if deflate else 1,)),
      262: ('H', (photometric,)), 266: ('H', (fill_order,)),
      277: ('H', (count,)), 284: ('H', (2 if planar else 1,)),
      339: ('H', (sample_format,) * count),
  }
  lengths = ('I', tuple(len(block) for block in encoded))
  if tile_px:
    entries |= {322: ('I', (tile_px,)), 323: ('I', (tile_px,)),
                324: ('I', tuple(starts[:-1])), 325: lengths}
  else:
    entries |= {273: ('I', tuple(starts[:-1])), 278: ('I', (height,)),
                279: lengths}
  pixels = b''.join(encoded)
  pixels += bytes(len(pixels) % 2)
  start = (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(
      f'{order}I', 8 + len(pixels))
  return start + pixels + tiff_directory(
      {**entries, **tags}, order, 8 + len(pixels))


def tiff_directory(entries: Mapping[int, tuple[str, tuple]], order: str,
                   position: int) -> bytes:
  """Returns an image file directory, as TIFF and EXIF have it.

  Args:
    entries: (type, values) by tag.
    order: of the bytes, '<' or '>'.
    position: where it begins in the file.
  """
  table, beside = b'', b''
  beside_at = position + 2 + 12 * len(entries) + 4
  for tag, (kind, values) in sorted(entries.items()):
    content = (bytes(values) if kind == 'U' else
               struct.pack(f'{order}{len(values)}{kind}', *values))
    field = content.ljust(4, b'\0')
    if len(content) > 4:
      field = struct.pack(f'{order}I', beside_at + len(beside))
      beside += content + bytes(len(content) % 2)
    table += struct.pack(
        f'{order}HHI', tag, _TIFF_TYPES[kind], len(values)) + field
  return struct.pack(f'{order}H', len(entries)) + table + bytes(4) + beside


def exif(orientation: int, order: str = '>', kind: str = 'H') -> bytes:
  """Returns EXIF data that hold an orientation, without the 'Exif' before."""
  start = b'II*\0' if order == '<' else b'MM\0*'
  return start + struct.pack(f'{order}I', 8) + tiff_directory(
      {271: ('U', b'maker of cameras'), 274: (kind, (orientation,)),
       305: ('U', b'1.0')}, order, 8)


def with_exif(jpeg: bytes, content: bytes) -> bytes:
  """Returns a JPEG file with EXIF data as its first segment."""
  content = b'Exif\0\0' + content
  return (jpeg[:2] + b'\xff\xe1' + (len(content) + 2).to_bytes(2, 'big') +
          content + jpeg[2:])


def color_profile(colorants: tuple[tuple[float, ...], ...],
                  gamma: float) -> bytes:
  """Returns an ICC profile of an RGB space (ICC.1:2001, matrix and curves).

  Args:
    colorants: X, Y and Z of red, green and blue, adapted to D50.
    gamma: of the three curves.
  """
  def fixed(*values):
    return struct.pack(f'>{len(values)}i', *(
        round(value * 65536) for value in values))
  white = (0.9642, 1.0, 0.8249)
  tags = {b'wtpt': b'XYZ ' + bytes(4) + fixed(*white)}
  for letter, colorant in zip(b'rgb', colorants):
    tags[bytes([letter]) + b'XYZ'] = b'XYZ ' + bytes(4) + fixed(*colorant)
    tags[bytes([letter]) + b'TRC'] = (
        b'curv' + bytes(4) + struct.pack('>IH', 1, round(gamma * 256)) +
        bytes(2))
  table, contents = b'', b''
  for name, content in tags.items():
    table += name + struct.pack(
        '>II', 132 + 12 * len(tags) + len(contents), len(content))
    contents += content
  header = (bytes(8) + b'\x02\x40' + bytes(2) + b'mntrRGB XYZ ' + bytes(12) +
            b'acsp').ljust(68, b'\0') + fixed(*white)
  body = (header.ljust(128, b'\0') + struct.pack('>I', len(tags)) + table +
          contents)
  return len(body).to_bytes(4, 'big') + body[4:]


def bmp(samples: np.ndarray, bits: int, masks: tuple[int, ...] = ()) -> bytes:
  """Returns a BMP file.

  Args:
    samples: whole numbers, [H, W, S], blue first; 16 bits: [H, W, 1].
    bits: of a pixel: 16, 24 or 32.
    masks: bits of red, green, blue and alpha in a pixel; none: no such masks.
  """
  height, width, _ = samples.shape
  kind = 'u2' if bits == 16 else 'u1'
  rows = b''.join(
      row.astype(f'<{kind}').tobytes() +
      bytes(-len(row.astype(kind).tobytes()) % 4) for row in samples[::-1])
  fields = struct.pack(f'<{len(masks)}I', *masks)
  # With masks the longer header of version 4, which has a place for alpha.
  size = 108 if masks else 40
  header = struct.pack('<IiiHHIIiiII', size, width, height, 1, bits,
                       3 if masks else 0, len(rows), 2835, 2835, 0, 0)
  header = (header + fields).ljust(size, b'\0')
  return (b'BM' + struct.pack('<IHHI', 14 + size + len(rows), 0, 0, 14 + size)
          + header + rows)


def _blocks(plane: np.ndarray, tile_px: int) -> list[np.ndarray]:
  """Cuts a plane into tiles, row by row; what is missing is 0."""
  if not tile_px:
    return [plane]
  height, width, _ = plane.shape
  padded = np.pad(plane, ((0, -height % tile_px), (0, -width % tile_px),
                          (0, 0)))
  return [padded[top:top + tile_px, left:left + tile_px]
          for top in range(0, height, tile_px)
          for left in range(0, width, tile_px)]


def _packed(row: np.ndarray, bits: int, order: str, kind: str = 'u') -> bytes:
  """Returns the samples of a row, [W, S], filled up to a whole byte."""
  if bits in (8, 16, 32, 64):
    return row.astype(f'{order}{kind}{bits // 8}').tobytes()
  flat = row.reshape(-1, 1).astype(np.int64)
  return np.packbits((flat >> np.arange(bits)[::-1]) & 1).tobytes()


def _reversed_bits(block: bytes) -> bytes:
  return np.packbits(np.unpackbits(
      np.frombuffer(block, np.uint8), bitorder='little')).tobytes()
