"""Image files of every kind: form, depth, channels, transparency, orientation.

Each is 16 x 16 px, of four colors on 8 x 8 px, so that what is to be seen is
known by hand and a JPEG hardly changes it.

Legend: S samples of a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import io
import struct

import handmade_images
import numpy as np
from PIL import Image

# 2 x 2 colors; their order tells how a picture was turned.
COLORS = np.array([[(200, 0, 40), (10, 200, 90)], [(0, 0, 255), (99, 99, 99)]])
# Of 8 bits, and exact in fewer.
GRAYS = np.array([[[0], [85]], [[170], [255]]])
ALPHAS = np.array([[[255], [0]], [[128], [51]]])
_PX = 8
_ORIENTATION = 274
# X, Y and Z of red, green and blue, adapted to D50, and gamma.
PROFILES = {
    'sRGB, gamma 2.2': (
        ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708),
         (0.14307, 0.06061, 0.71410)), 2.2),
    'Display P3': (
        ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189),
         (0.15710, 0.06657, 0.78407)), 2.2),
    'Adobe RGB (1998)': (
        ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087),
         (0.14919, 0.06322, 0.74457)), 2.2),
    'ProPhoto RGB': (
        ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0),
         (0.03134, 0.00008, 0.82491)), 1.8),
}
_ALPHA_MASKS = (0xff0000, 0xff00, 0xff, 0xff000000)


@dataclasses.dataclass(frozen=True)
class Kind:
  """A kind of image file.

  Attributes:
    form: such as 'PNG'.
    channels: such as 'RGBA'.
    bits: of a sample.
    other: what else is special about it.
    data: a file of the kind.
    seen: 2 x 2 colors, [2, 2, 3]; None where it is not known what they are.
  """
  form: str
  channels: str
  bits: int
  other: str
  data: bytes
  seen: np.ndarray | None

  @property
  def name(self) -> str:
    """The kind in a few words, unlike those of all others."""
    return f'{self.form} {self.channels} {self.bits} {self.other}'.strip()


def every() -> list[Kind]:
  """Returns a file of every kind."""
  return [*_jpegs(), *_pngs(), *_tiffs(), *_bmps(), *_others(),
          *_damaged()]


def over_white(colors: np.ndarray) -> np.ndarray:
  """Returns what is seen of colors, [2, 2, 1 or 3], with ALPHAS."""
  return np.round((colors * ALPHAS + 255. * (255 - ALPHAS)) / 255)


def _blocks(samples: np.ndarray) -> np.ndarray:
  return samples.repeat(_PX, axis=0).repeat(_PX, axis=1)


def _image(samples: np.ndarray, mode: str = 'RGB') -> Image.Image:
  pixels = _blocks(samples).astype(np.uint8)
  return Image.fromarray(
      pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert(mode)


def _save(image: Image.Image, form: str, **how) -> bytes:
  encoded = io.BytesIO()
  image.save(encoded, form, **how)
  return encoded.getvalue()


def _profile() -> bytes:
  return handmade_images.color_profile(*PROFILES['Display P3'])


def _turned(orientation: int) -> np.ndarray:
  """Returns what is seen of COLORS by EXIF 2.32, section 4.6.4."""
  (a, b), (c, d) = COLORS
  return np.array({
      1: [[a, b], [c, d]], 2: [[b, a], [d, c]], 3: [[d, c], [b, a]],
      4: [[c, d], [a, b]], 5: [[a, c], [b, d]], 6: [[c, a], [d, b]],
      7: [[d, b], [c, a]], 8: [[b, d], [a, c]]}[orientation])


def _jpegs() -> Iterator[Kind]:
  best = {'quality': 100, 'subsampling': 0}
  plain = _save(_image(COLORS), 'JPEG', **best)
  yield Kind('JPEG', 'RGB', 8, '', plain, COLORS)
  yield Kind('JPEG', 'gray', 8, '',
             _save(_image(GRAYS, 'L'), 'JPEG', quality=100), GRAYS)
  yield Kind('JPEG', 'RGB', 8, 'progressive', _save(
      _image(COLORS), 'JPEG', progressive=True, **best), COLORS)
  for orientation in range(1, 9):
    yield Kind('JPEG', 'RGB', 8, f'orientation {orientation}',
               handmade_images.with_exif(
                   plain, handmade_images.exif(orientation)),
               _turned(orientation))
  yield Kind('JPEG', 'RGB', 8, 'damaged EXIF', handmade_images.with_exif(
      plain, handmade_images.exif(6)[:30]), COLORS)
  yield Kind('JPEG', 'RGB', 8, 'profile Display P3', _save(
      _image(COLORS), 'JPEG', icc_profile=_profile(), **best), COLORS)
  adobe = _save(_image(COLORS, 'CMYK'), 'JPEG', **best)
  at = adobe.index(b'\xff\xee')
  yield Kind('JPEG', 'CMYK', 8, "Adobe's", adobe, COLORS)
  yield Kind('JPEG', 'CMYK', 8, "Adobe's, orientation 6",
             handmade_images.with_exif(adobe, handmade_images.exif(6)),
             _turned(6))
  # Ink, where Adobe writes light: no ink at all is white.
  inks = np.full([2, 2, 4], 255) - np.array(
      [[(0, 0, 0, 0), (255, 0, 0, 0)], [(0, 255, 0, 0), (0, 0, 0, 128)]])
  ink = Image.fromarray(_blocks(inks).astype(np.uint8), 'CMYK')
  ink = _save(ink, 'JPEG', **best)
  seen = np.array([[(255, 255, 255), (0, 255, 255)],
                   [(255, 0, 255), (127, 127, 127)]])
  without_adobe = ink[:at] + ink[at + 16:]
  yield Kind('JPEG', 'CMYK', 8, "not Adobe's", without_adobe, seen)
  yield Kind('JPEG', 'CMYK', 8, "not Adobe's, orientation 3",
             handmade_images.with_exif(without_adobe, handmade_images.exif(3)),
             seen[::-1, ::-1])
  yield Kind('JPEG', 'RGB', 8, 'MPO, two pictures', _save(
      _image(COLORS), 'MPO', save_all=True,
      append_images=[_image(GRAYS)], **best), COLORS)


def _pngs() -> Iterator[Kind]:
  rgba = np.concatenate([COLORS, ALPHAS], -1)
  la = np.concatenate([GRAYS, ALPHAS], -1)
  palette = (b'PLTE', bytes(COLORS.reshape(-1).tolist()))
  indices = np.arange(4).reshape(2, 2, 1)
  for bits in (1, 2, 4, 8, 16):
    most = 2**bits - 1
    shades = np.round(GRAYS / 255 * most).astype(int)
    seen = (shades >> 8 if bits == 16 else shades * 255 // most)
    key = shades[1, 0, 0]
    yield Kind('PNG', 'gray', bits, '', _png(shades, bits, 0), seen)
    yield Kind('PNG', 'gray', bits, 'a transparent shade',
               _png(shades, bits, 0, (b'tRNS', struct.pack('>H', key))),
               np.where(shades == key, 255, seen))
  for bits in (2, 4, 8):
    yield Kind('PNG', 'palette', bits, '',
               _png(indices, bits, 3, palette), COLORS)
    yield Kind('PNG', 'palette', bits, 'transparent colors',
               _png(indices, bits, 3, palette,
                    (b'tRNS', bytes(ALPHAS.reshape(-1).tolist()))),
               over_white(COLORS))
  for bits, scale in ((8, 1), (16, 257)):
    key = (b'tRNS', struct.pack('>3H', *(scale * COLORS[0, 1])))
    yield Kind('PNG', 'RGB', bits, '', _png(COLORS * scale, bits, 2), COLORS)
    yield Kind('PNG', 'RGB', bits, 'a transparent color',
               _png(COLORS * scale, bits, 2, key),
               np.where((COLORS == COLORS[0, 1]).all(-1, keepdims=True), 255,
                        COLORS))
    yield Kind('PNG', 'RGBA', bits, '', _png(rgba * scale, bits, 6),
               over_white(COLORS))
    yield Kind('PNG', 'gray, alpha', bits, '', _png(la * scale, bits, 4),
               over_white(GRAYS))
  yield Kind('PNG', 'RGBA', 8, 'opaque', _png(np.concatenate(
      [COLORS, np.full([2, 2, 1], 255)], -1), 8, 6), COLORS)
  exif = (b'eXIf', handmade_images.exif(6))
  yield Kind('PNG', 'RGB', 8, 'orientation 6', _png(COLORS, 8, 2, exif),
             _turned(6))
  yield Kind('PNG', 'RGB', 8, 'orientation 6 after the pixels',
             handmade_images.png(_blocks(COLORS), 8, 2, after_pixels=(exif,)),
             _turned(6))
  yield Kind('PNG', 'RGB', 8, 'profile Display P3', _save(
      _image(COLORS), 'PNG', icc_profile=_profile()), COLORS)
  for bits in (1, 4, 8):
    shades = GRAYS // 255 if bits == 1 else GRAYS * (2**bits - 1) // 255
    yield Kind('PNG', 'gray', bits, 'interlaced', handmade_images.png(
        _blocks(shades), bits, 0, interlaced=True),
               shades * 255 // (2**bits - 1))
  yield Kind('PNG', 'RGBA', 8, 'interlaced', handmade_images.png(
      _blocks(rgba), 8, 6, interlaced=True), over_white(COLORS))
  yield Kind('PNG', 'RGB', 8, 'animated', _save(
      _image(COLORS), 'PNG', save_all=True, append_images=[_image(GRAYS)]),
             COLORS)


def _png(samples: np.ndarray, bits: int, color: int, *chunks) -> bytes:
  return handmade_images.png(_blocks(samples), bits, color, chunks)


def _tiffs() -> Iterator[Kind]:
  for order, name in (('<', 'II'), ('>', 'MM')):
    for bits in (1, 2, 4, 8, 12, 16):
      most = 2**bits - 1
      shades = np.round(GRAYS / 255 * most).astype(int)
      seen = shades >> (bits - 8) if bits > 8 else shades * 255 // most
      yield _tiff('gray', bits, name, shades, 1, seen, order)
      yield _tiff('gray', bits, f'{name}, zero is white', shades, 0,
                  255 - seen, order)
    for bits, scale in ((8, 1), (16, 257)):
      for how in ({}, {'deflate': True}, {'tile_px': 16}, {'planar': True},
                  {'planar': True, 'deflate': True}):
        yield _tiff('RGB', bits, ', '.join((name, *how)).replace('_px', 'd'),
                    COLORS * scale, 2, COLORS, order, **how)
  rgba = np.concatenate([COLORS, ALPHAS], -1)
  mixed = np.round(COLORS * ALPHAS / 255).astype(int)
  for other, samples, extra, seen in (
      ('alpha', rgba, (2,), over_white(COLORS)),
      ('alpha, colors multiplied by it', np.concatenate([mixed, ALPHAS], -1),
       (1,), over_white(COLORS)),
      ('a fourth sample of no meaning', rgba, (0,), COLORS),
      ('a fourth sample that is not named', rgba, (), None)):
    yield _tiff('RGBA', 8, other, samples, 2, seen,
                tags={338: ('H', extra)} if extra else {})
  yield _tiff('gray, alpha', 8, 'alpha', np.concatenate([GRAYS, ALPHAS], -1),
              1, over_white(GRAYS), tags={338: ('H', (2,))})
  yield _tiff('CMYK', 8, '', np.concatenate(
      [255 - COLORS, np.zeros([2, 2, 1], int)], -1), 5, COLORS)
  indices = np.arange(4).reshape(2, 2, 1)
  colors = np.zeros([3, 256], int)
  colors[:, :4] = COLORS.reshape(4, 3).T * 257
  yield _tiff('palette', 8, '', indices, 3, COLORS,
              tags={320: ('H', tuple(colors.reshape(-1).tolist()))})
  yield _tiff('Lab', 8, '', COLORS, 8, None)
  yield _tiff('YCbCr', 8, 'not compressed', COLORS, 6, None)
  yield _tiff('gray', 8, 'with a sign', GRAYS - 128, 1, None, sample_format=2)
  for bits in (16, 32):
    yield _tiff('gray', bits, 'floating point', GRAYS / 255, 1, None,
                sample_format=3)
  yield _tiff('gray', 32, '', GRAYS, 1, None)
  yield _tiff('RGB', 8, 'orientation 6', COLORS, 2, _turned(6),
              tags={_ORIENTATION: ('H', (6,))})
  for compression, how in (('tiff_lzw', {}), ('packbits', {}),
                           ('jpeg', {'quality': 100})):
    yield Kind('TIFF', 'RGB', 8, compression.removeprefix('tiff_').upper(),
               _save(_image(COLORS), 'TIFF', compression=compression, **how),
               COLORS)
  yield Kind('TIFF', 'gray', 1, 'Group 4', _save(
      _image(np.array([[[0], [255]], [[255], [0]]])).convert('1'), 'TIFF',
      compression='group4'), np.array([[[0], [255]], [[255], [0]]]))
  yield Kind('TIFF', 'RGB', 8, 'two pages', _save(
      _image(COLORS), 'TIFF', save_all=True, append_images=[_image(GRAYS)]),
             COLORS)


def _damaged() -> Iterator[Kind]:
  """Yields files that are broken, or of a size that is not taken."""
  jpeg, png = (_save(_image(COLORS), form) for form in ('JPEG', 'PNG'))
  pixels = bytearray(png)
  pixels[png.index(b'IDAT') + 4 + 5] ^= 1
  header_of_thumbnail = handmade_images.with_exif(
      jpeg[:2] + jpeg[-2:], handmade_images.exif(1) + jpeg)
  for form, other, data in (
      ('JPEG', 'the second half missing', jpeg[:len(jpeg) // 2]),
      ('JPEG', 'its end marker missing', jpeg[:-2]),
      ('JPEG', 'nothing but a thumbnail in its EXIF', header_of_thumbnail),
      ('JPEG', 'one pixel wide', _save(Image.new('RGB', (1, 9)), 'JPEG')),
      ('JPEG', '20,000 x 20,000 px', _of_sides(jpeg, 20_000)),
      ('PNG', 'the second half missing', png[:len(png) // 2]),
      ('PNG', 'its end chunk missing', png[:-12]),
      ('PNG', 'pixels that do not fit their checksum', bytes(pixels)),
      ('PNG', 'a chunk of no standard that decoding needs',
       handmade_images.with_png_chunk(png, b'NONE', b'')),
      ('PNG', 'one pixel high', _save(Image.new('RGB', (9, 1)), 'PNG')),
      ('BMP', 'the second half missing', _save(_image(COLORS), 'BMP')[:400])):
    yield Kind(form, 'RGB', 8, other, data, None)


def _of_sides(jpeg: bytes, side_px: int) -> bytes:
  """Returns a JPEG file whose header claims other sides."""
  at = jpeg.index(b'\xff\xc0') + 5
  return jpeg[:at] + struct.pack('>HH', side_px, side_px) + jpeg[at + 4:]


def _tiff(channels: str, bits: int, other: str, samples: np.ndarray,
          photometric: int, seen: np.ndarray | None, order: str = '<', **how
          ) -> Kind:
  return Kind('TIFF', channels, bits, other, handmade_images.tiff(
      _blocks(samples), bits, photometric, order, **how), seen)


def _bmps() -> Iterator[Kind]:
  bgra = _blocks(np.concatenate([COLORS[..., ::-1], ALPHAS], -1))
  yield Kind('BMP', 'RGB', 8, '', handmade_images.bmp(bgra[..., :3], 24),
             COLORS)
  yield Kind('BMP', 'RGB', 8, '32 bits a pixel', handmade_images.bmp(bgra, 32),
             COLORS)
  yield Kind('BMP', 'RGBA', 8, 'masks', handmade_images.bmp(
      bgra, 32, _ALPHA_MASKS), over_white(COLORS))
  yield Kind('BMP', 'RGBA', 8, 'masks of another order', handmade_images.bmp(
      bgra[..., [2, 1, 0, 3]], 32, (0xff, 0xff00, 0xff0000, 0xff000000)),
             over_white(COLORS))
  five = COLORS >> 3
  packed = (five[..., :1] << 10) | (five[..., 1:2] << 5) | five[..., 2:]
  yield Kind('BMP', 'RGB', 5, '', handmade_images.bmp(_blocks(packed), 16),
             (five << 3) | (five >> 2))
  yield Kind('BMP', 'palette', 8, '', _save(
      _image(COLORS).quantize(4), 'BMP'), COLORS)
  yield Kind('BMP', 'gray', 1, '', _save(
      _image(np.array([[[0], [255]], [[255], [0]]])).convert('1'), 'BMP'),
             np.array([[[0], [255]], [[255], [0]]]))


def _others() -> Iterator[Kind]:
  rgba = Image.fromarray(_blocks(
      np.concatenate([COLORS, ALPHAS], -1)).astype(np.uint8))
  flat = _image(COLORS).quantize(4)
  yield Kind('GIF', 'palette', 8, '', _save(flat, 'GIF'), COLORS)
  yield Kind('GIF', 'palette', 8, 'a transparent color', _save(
      flat, 'GIF', transparency=flat.getpixel((12, 2))),
             np.where((COLORS == COLORS[0, 1]).all(-1, keepdims=True), 255,
                      COLORS))
  yield Kind('GIF', 'palette', 8, 'animated', _save(
      flat, 'GIF', save_all=True, append_images=[_image(GRAYS)]), COLORS)
  yield Kind('WebP', 'RGB', 8, 'lossless', _save(
      _image(COLORS), 'WEBP', lossless=True), COLORS)
  yield Kind('WebP', 'RGBA', 8, 'lossless', _save(
      rgba, 'WEBP', lossless=True, exact=True), over_white(COLORS))
  yield Kind('WebP', 'RGB', 8, 'animated', _save(
      _image(COLORS), 'WEBP', lossless=True, save_all=True,
      append_images=[_image(GRAYS)]), COLORS)
  exif = Image.Exif()
  exif[_ORIENTATION] = 6
  yield Kind('WebP', 'RGB', 8, 'orientation 6', _save(
      _image(COLORS), 'WEBP', lossless=True, exif=exif), _turned(6))
  for form, how in (('PPM', {}), ('TGA', {}), ('ICO', {}),
                    ('JPEG2000', {'irreversible': False})):
    yield Kind(form, 'RGB', 8, '', _save(_image(COLORS), form, **how), COLORS)
