"""What Pillow decodes, as RGB of 8 bits: what TensorFlow makes of the file.

Deep samples lose their low bits. What is transparent is put over white, by the
formula that the graph which serves images has too
(`official_ext.tasks.image_files`); opaque pixels stay as they are. A kind whose
meaning is not known, or that Pillow takes for another, is an error.

Legend: H, W sides of an image.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from . import exif_orientation
from . import image_faults
from . import tiff_kinds

_DEEP = ('I;16', 'I;16B', 'I;16L', 'I;16N')
_WITH_ALPHA = ('RGBA', 'LA', 'PA')
_WHITE = 255
_GRAY, _RGB = 0, 2  # Colour types of PNG.


def convert(image: Image.Image, data: bytes) -> Image.Image:
  """Decodes an image that is open, of an animation the first frame.

  Args:
    image: the image, its pixels not yet read.
    data: the file.

  Returns:
    The image in mode RGB, as it is stored: not turned.

  Raises:
    image_faults.NotSupportedError: if it is not known what its pixels mean;
      saying why.
    Exception: whatever Pillow raises on a damaged file.
  """
  depth, is_inverted, is_unnamed = 16, False, False
  if image.format == 'TIFF':
    fault = tiff_kinds.fault(image)
    if fault:
      raise image_faults.NotSupportedError(fault)
    depth = tiff_kinds.bits_per_sample(image)
    is_inverted = tiff_kinds.is_white_zero(image)
    is_unnamed = tiff_kinds.has_unnamed_sample(image)
    # Orientation is not Pillow's to apply, which it would also take from XMP.
    image.getexif()[exif_orientation.TAG] = exif_orientation.UPRIGHT
  covered = image.tile[0][1] if image.format == 'GIF' and image.tile else None
  image.load()
  if image.mode in ('I', 'F'):
    raise image_faults.NotSupportedError(
        f'pixels of mode {image.mode}, whose range is not known')
  if image.format == 'PNG' and data[25] in (_GRAY, _RGB):
    return _of_png(image, data)
  if image.mode in _DEEP:
    return _from_gray(_shades(image, depth, is_inverted))
  if image.mode == 'CMYK' and image.format in ('JPEG', 'MPO'):
    return _of_cmyk_jpeg(image)
  if image.mode not in _WITH_ALPHA and 'transparency' not in image.info and (
      covered in (None, (0, 0, *image.size))):
    return image.convert('RGB')
  pixels = np.array(image.convert('RGBA'))
  if is_unnamed and pixels[..., 3].min() < 255:
    raise image_faults.NotSupportedError(
        'a fourth sample that is not said to be alpha')
  if covered:
    # Of a frame smaller than its canvas, the rest is see-through.
    left, top, right, bottom = covered
    beside = np.ones(pixels.shape[:2], bool)
    beside[top:bottom, left:right] = False
    pixels[beside, 3] = 0
  return Image.fromarray(over_white(pixels))


def over_white(pixels: np.ndarray) -> np.ndarray:
  """Puts pixels over white.

  Args:
    pixels: uint8 [H, W, 4], RGB and alpha.

  Returns:
    uint8 [H, W, 3]: (color * alpha + 255 * (255 - alpha)) / 255, rounded.
  """
  colors, alpha = np.split(pixels.astype(np.uint16), [3], axis=-1)
  blended = colors * alpha + _WHITE * (255 - alpha)  # At most 255 * 255.
  return ((blended + 127) // 255).astype(np.uint8)


def _of_png(image: Image.Image, data: bytes) -> Image.Image:
  """Converts gray and RGB, of which one color may be transparent."""
  depth = data[24]
  key = next((content for kind, content in exif_orientation.png_chunks(data)
              if kind == b'tRNS'), b'')
  image.info.pop('transparency', None)
  if data[25] == _RGB:
    if not key:
      return image.convert('RGB')
    if depth == 16:
      # Of which Pillow keeps 8, and so cannot tell the color from others.
      raise image_faults.NotSupportedError(
          'a transparent color of 16 bits per channel')
    pixels = np.asarray(image.convert('RGBA')).copy()
    transparent = list(key[1:6:2])
    pixels[(pixels[..., :3] == transparent).all(-1), 3] = 0
    return Image.fromarray(over_white(pixels))
  shades = np.asarray(image if depth == 16 else image.convert('L'))
  is_transparent = np.zeros(shades.shape, bool)
  if len(key) == 2:
    # Pillow spreads the shades of fewer bits over 0 to 255, not the key.
    spread = 1 if depth == 16 else 255 // (2**depth - 1)
    is_transparent = shades == int.from_bytes(key, 'big') * spread
  if depth == 16:
    shades = shades >> 8
  return _from_gray(np.where(is_transparent, _WHITE, shades))


def _shades(image: Image.Image, depth: int, is_inverted: bool) -> np.ndarray:
  """Returns deep gray as shades of 0 to 255, [H, W]."""
  shades = np.asarray(image).astype(np.uint16) >> (depth - 8)
  return 255 - shades if is_inverted else shades


def _from_gray(shades: np.ndarray) -> Image.Image:
  return Image.fromarray(shades.astype(np.uint8)).convert('RGB')


def _of_cmyk_jpeg(image: Image.Image) -> Image.Image:
  """Converts ink to light, which Adobe's files store instead of ink.

  Pillow takes every file for Adobe's, TensorFlow those that say so.
  """
  if 'adobe' not in image.info:
    image = Image.fromarray(255 - np.asarray(image), 'CMYK')
  return image.convert('RGB')
