"""What are these bytes: fit for training, to be re-encoded, or corrupt?

The training pipeline decodes with TensorFlow's JPEG decoder. What it takes
passes through untouched; other images become RGB JPEGs; the rest is corrupt.
The content decides, never the name.
"""

from __future__ import annotations

import dataclasses
import io
import warnings

import numpy as np
from PIL import Image

from data_prep import jpeg_structure

CHECKS = ('header', 'decode')

# TensorFlow refuses what has 2**29 values or more once decoded.
MAX_PIXELS = (2**29 - 1) // 3
# Of one pixel the pipeline's center crop, 7/8 of a side, leaves nothing.
MIN_SIDE_PX = 2

# What Pillow may try; its other plugins run on fewer files and more faults.
_PILLOW_FORMATS = ('JPEG', 'PNG', 'GIF', 'BMP', 'WEBP', 'TIFF')
_SIXTEEN_BITS = ('I;16', 'I;16B', 'I;16L', 'I;16N')


class CorruptImageError(ValueError):
  """The bytes hold no image; the message is the reason, in a few words."""


@dataclasses.dataclass(frozen=True)
class CheckedImage:
  """An image that the training pipeline decodes.

  Attributes:
    encoded: a JPEG file.
    width: px.
    height: px.
    was: '' if `encoded` is what came in; else the form that was re-encoded,
      such as 'PNG'.
  """
  encoded: bytes
  width: int
  height: int
  was: str = ''


def looks_like_image(start: bytes) -> bool:
  """Says whether a file that begins with these bytes is meant to be an image.

  Args:
    start: the first 12 bytes or more.

  Returns:
    Whether they are the signature of a form that is re-encoded or taken.
  """
  return _form(start) is not None


def check(data: bytes, how: str = 'header', jpeg_quality: int = 100
          ) -> CheckedImage:
  """Makes sure that the training pipeline can decode an image.

  Args:
    data: a file of any kind.
    how: 'header' reads the structure of a JPEG file
      (`data_prep.jpeg_structure`); 'decode' also decodes its pixels.
    jpeg_quality: of what is re-encoded, 1 to 100; colors are not subsampled.

  Returns:
    The image, untouched where the pipeline takes it as it is.

  Raises:
    CorruptImageError: if it holds no image.
  """
  if not data:
    raise CorruptImageError('zero bytes')
  form = _form(data)
  if form is None:
    raise CorruptImageError(f'not an image: begins with {data[:4].hex(" ")}')
  if form != 'JPEG':
    return _reencode(data, form, jpeg_quality)
  try:
    structure = jpeg_structure.parse(data)
  except jpeg_structure.InvalidJpegError as error:
    raise CorruptImageError(f'JPEG: {error}') from None
  _check_pixels(structure.width, structure.height)
  if not structure.supported:
    return _reencode(data, 'JPEG of a rare kind', jpeg_quality)
  if how == 'decode':
    _decode(data, 'JPEG', scaled_down=True)
  return CheckedImage(data, structure.width, structure.height)


def encode_pixels(pixels: np.ndarray, jpeg_quality: int) -> CheckedImage:
  """Encodes bare pixels.

  Args:
    pixels: uint8 [height, width, 3], RGB.
    jpeg_quality: 1 to 100; colors are not subsampled.

  Returns:
    The image.
  """
  return _encode(Image.fromarray(pixels), 'pixels', jpeg_quality)


def _form(data: bytes) -> str | None:
  """Returns the form of a file by its signature."""
  if data.startswith(jpeg_structure.START):
    return 'JPEG'
  if data.startswith(b'\x89PNG\r\n\x1a\n'):
    return 'PNG'
  if data.startswith((b'GIF87a', b'GIF89a')):
    return 'GIF'
  if data.startswith(b'RIFF') and data[8:12] == b'WEBP':
    return 'WebP'
  if data.startswith((b'II*\x00', b'MM\x00*')):
    return 'TIFF'
  # 'BM' alone begins many a text; the reserved bytes of its header are zero.
  if data.startswith(b'BM') and data[6:10] == bytes(4):
    return 'BMP'
  return None


def _check_pixels(width: int, height: int) -> None:
  if width * height > MAX_PIXELS:
    raise CorruptImageError(
        f'{width} x {height} px: TensorFlow decodes at most {MAX_PIXELS} px')
  if min(width, height) < MIN_SIDE_PX:
    raise CorruptImageError(
        f'{width} x {height} px: the pipeline crops sides of at least '
        f'{MIN_SIDE_PX} px')


def _reencode(data: bytes, form: str, jpeg_quality: int) -> CheckedImage:
  return _encode(_decode(data, form), form, jpeg_quality)


def _encode(image: Image.Image, was: str, jpeg_quality: int) -> CheckedImage:
  encoded = io.BytesIO()
  if max(image.size) > jpeg_structure.MAX_SIDE_PX:
    raise CorruptImageError(
        f'{was}: {image.width} x {image.height} px do not fit a JPEG, whose '
        f'sides are at most {jpeg_structure.MAX_SIDE_PX} px')
  image.save(encoded, format='JPEG', quality=jpeg_quality, subsampling=0)
  return CheckedImage(encoded.getvalue(), image.width, image.height, was)


def _decode(data: bytes, form: str, scaled_down: bool = False) -> Image.Image:
  """Decodes an image, of an animation the first frame, to RGB.

  Args:
    data: the file.
    form: what it is, for the error.
    scaled_down: decode a JPEG to an eighth of its size, which reads all of it
      but costs less.

  Returns:
    The image, loaded, in mode RGB unless `scaled_down`.

  Raises:
    CorruptImageError: if it cannot be decoded.
  """
  try:
    with warnings.catch_warnings():
      # Of large images, which are checked here, and of odd metadata.
      warnings.simplefilter('ignore')
      image = Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS)
      _check_pixels(*image.size)
      if scaled_down:
        image.draft('RGB', (1, 1))
        image.load()
        return image
      image.load()
      return _to_rgb(image)
  except CorruptImageError:
    raise
  # Pillow's plugins raise whatever a damaged file leads them to: OSError,
  # SyntaxError, struct.error, zlib.error, IndexError and others.
  except Exception as error:  # pylint: disable=broad-except
    reason = str(error) or type(error).__name__
    if isinstance(error, Image.UnidentifiedImageError):
      # Its message holds an address, which differs from run to run.
      reason = 'cannot be identified'
    raise CorruptImageError(f'{form}: {reason}') from error


def _to_rgb(image: Image.Image) -> Image.Image:
  """Converts to 8 bits per channel, without transparency, as TensorFlow."""
  if image.mode in _SIXTEEN_BITS:
    shades = np.asarray(image)
    return Image.fromarray((shades >> 8).astype(np.uint8)).convert('RGB')
  if image.mode in ('I', 'F'):
    raise CorruptImageError(
        f'pixels of mode {image.mode}, whose range is not known')
  return image.convert('RGB')
