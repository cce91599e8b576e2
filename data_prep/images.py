"""What are these bytes: fit for training, to be re-encoded, or corrupt?

The training pipeline decodes with TensorFlow's JPEG decoder. What it takes
passes through untouched; other images become RGB JPEGs, and so do photographs
that are to be turned; the rest is corrupt. The content decides, never the name.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import io
from typing import Any
import warnings

import numpy as np
from PIL import Image
from PIL import TiffImagePlugin

from . import color_profile
from . import exif_orientation
from . import image_faults
from . import jpeg_structure
from . import png_structure
from . import rgb_pixels

CHECKS = ('header', 'decode')
APPLY, IGNORE = 'apply', 'ignore'
# What becomes of the orientation that a photograph's EXIF data say.
EXIF_ORIENTATIONS = (APPLY, IGNORE)

# TensorFlow refuses what has 2**29 values or more once decoded.
MAX_PIXELS = (2**29 - 1) // 3
# Of one pixel the pipeline's center crop, 7/8 of a side, leaves nothing.
MIN_SIDE_PX = 2
# Of what is encoded again. TensorFlow decodes with a fast transform, whose own
# errors grow beyond those of a lower quality from here on.
JPEG_QUALITY = 95

# Lossless, hierarchical, arithmetic coded or of 12 bits.
_RARE_JPEG = 'JPEG of a rare kind'

# What Pillow may try; its other plugins run on fewer files and more faults.
_PILLOW_FORMATS = ('JPEG', 'PNG', 'GIF', 'BMP', 'WEBP')


class CorruptImageError(ValueError):
  """The bytes hold no image; the message is the reason, in a few words."""


@dataclasses.dataclass(frozen=True)
class CheckedImage:
  """An image that the training pipeline decodes.

  Attributes:
    encoded: a JPEG file; a PNG file where `check` was asked to keep those.
    width: px.
    height: px.
    was: '' if `encoded` is what came in; else the form that was re-encoded,
      such as 'PNG'.
    orientation: by which it was turned; 1 if it was not.
    has_other_profile: whether it has a color profile that is not sRGB, and
      is ignored.
  """
  encoded: bytes
  width: int
  height: int
  was: str = ''
  orientation: int = exif_orientation.UPRIGHT
  has_other_profile: bool = False


def looks_like_image(start: bytes) -> bool:
  """Says whether a file that begins with these bytes is meant to be an image.

  Args:
    start: the first 12 bytes or more.

  Returns:
    Whether they are the signature of a form that is re-encoded or taken.
  """
  return _form(start) is not None


def orientation_of(data: bytes) -> int:
  """Returns the EXIF orientation of a file, 1 to 8; 1 of what is damaged."""
  form = _form(data)
  if form != 'JPEG':
    return exif_orientation.of_file(data, form or '')
  try:
    return exif_orientation.of_exif(jpeg_structure.parse(data).exif)
  except jpeg_structure.InvalidJpegError:
    return exif_orientation.UPRIGHT


def check(data: bytes, how: str = 'header', jpeg_quality: int = JPEG_QUALITY,
          orientations: str = APPLY, keeps_png: bool = False) -> CheckedImage:
  """Makes sure that the training pipeline can decode an image.

  Args:
    data: a file of any kind.
    how: 'header' reads the structure of a JPEG file
      (`data_prep.jpeg_structure`); 'decode' also decodes its pixels.
    jpeg_quality: of what is re-encoded, 1 to 100; colors are not subsampled.
    orientations: one of EXIF_ORIENTATIONS: 'apply' turns images by it,
      'ignore' turns none, of whatever form.
    keeps_png: whether PNG files of 8 bits, gray or RGB without transparency,
      stay as they are, for a pipeline that decodes both forms.

  Returns:
    The image, untouched where the pipeline takes it as it is.

  Raises:
    CorruptImageError: if it holds no image.
  """
  form = _form(data)
  if form is None:
    raise CorruptImageError(image_faults.of_no_form(data))
  if form != 'JPEG':
    orientation = (exif_orientation.of_file(data, form)
                   if orientations == APPLY else exif_orientation.UPRIGHT)
    if (keeps_png and form == 'PNG' and _is_plain_png(data) and
        orientation == exif_orientation.UPRIGHT):
      image, profile = _decode_upright(data, form, orientation)
      return CheckedImage(
          data, image.width, image.height,
          has_other_profile=not color_profile.is_srgb(profile))
    return _reencode(data, form, jpeg_quality, orientation)
  try:
    structure = jpeg_structure.parse(data)
  except jpeg_structure.InvalidJpegError as error:
    raise CorruptImageError(image_faults.of_form('JPEG', str(error))) from None
  _check_pixels(structure.width, structure.height)
  orientation = (exif_orientation.of_exif(structure.exif)
                 if orientations == APPLY else exif_orientation.UPRIGHT)
  if not structure.supported or orientation != exif_orientation.UPRIGHT:
    return _reencode(
        data, 'JPEG' if structure.supported else _RARE_JPEG,
        jpeg_quality, orientation)
  if how == 'decode':
    _decode(data, 'JPEG', _read_scaled_down)
  return CheckedImage(
      data, structure.width, structure.height,
      has_other_profile=not color_profile.is_srgb(structure.profile))


def decode(data: bytes, orientations: str = APPLY) -> np.ndarray:
  """Decodes an image to the pixels that the conversion encodes again.

  Args:
    data: a file of any kind but JPEG, whose orientation stands elsewhere.
    orientations: as in `check`.

  Returns:
    uint8 [height, width, 3], RGB.

  Raises:
    CorruptImageError: if it holds no image.
  """
  form = _form(data)
  if form is None:
    raise CorruptImageError(image_faults.of_no_form(data))
  image, _ = _decode_upright(
      data, form, exif_orientation.of_file(data, form)
      if orientations == APPLY else exif_orientation.UPRIGHT)
  return np.asarray(image)


def as_png(data: bytes) -> bytes:
  """Encodes an image as PNG: the same pixels, and turned as little.

  Args:
    data: a file of any kind but JPEG.

  Returns:
    A PNG file of RGB with the orientation that the file says in its EXIF data.

  Raises:
    CorruptImageError: if it holds no image.
  """
  pixels = decode(data, IGNORE)
  exif = Image.Exif()
  exif[exif_orientation.TAG] = exif_orientation.of_file(data, _form(data))
  encoded = io.BytesIO()
  # Fast: it is read once, and not kept.
  Image.fromarray(pixels).save(
      encoded, format='PNG', compress_level=1, exif=exif)
  return encoded.getvalue()


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
  if data.startswith(png_structure.START):
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


def _is_plain_png(data: bytes) -> bool:
  """Says whether TensorFlow decodes a PNG file to what the conversion would."""
  return data[24:26] in (b'\x08\x00', b'\x08\x02') and not any(
      kind == b'tRNS' for kind, _ in exif_orientation.png_chunks(data))


def _check_pixels(width: int, height: int) -> None:
  if width * height > MAX_PIXELS:
    raise CorruptImageError(
        f'{image_faults.NOT_SUPPORTED}: {width} x {height} px, of which '
        f'TensorFlow decodes at most {MAX_PIXELS}')
  if min(width, height) < MIN_SIDE_PX:
    raise CorruptImageError(
        f'{image_faults.NOT_SUPPORTED}: {width} x {height} px; the pipeline '
        f'crops sides of at least {MIN_SIDE_PX} px')


def _reencode(data: bytes, form: str, jpeg_quality: int, orientation: int
              ) -> CheckedImage:
  image, profile = _decode_upright(data, form, orientation)
  was = form
  if orientation != exif_orientation.UPRIGHT:
    was = f'{form}, turned by EXIF orientation {orientation}'
  return dataclasses.replace(
      _encode(image, was, jpeg_quality), orientation=orientation,
      has_other_profile=not color_profile.is_srgb(profile))


def _decode_upright(data: bytes, form: str, orientation: int
                    ) -> tuple[Image.Image, bytes]:
  """Returns an image in mode RGB, turned, and its color profile or b''."""
  if form == 'PNG':
    try:
      png_structure.check(data)
      png_structure.check_pixels(data)
    except png_structure.InvalidPngError as error:
      raise CorruptImageError(
          image_faults.of_form('PNG', str(error))) from None
  if form == 'TIFF':
    # Pillow turns TIFF by itself.
    data = exif_orientation.upright_tiff(data)
  image, profile = _decode(data, form, _read_rgb)
  if orientation != exif_orientation.UPRIGHT:
    image = exif_orientation.turn(image, orientation)
  return image, profile


def _encode(image: Image.Image, was: str, jpeg_quality: int) -> CheckedImage:
  encoded = io.BytesIO()
  if max(image.size) > jpeg_structure.MAX_SIDE_PX:
    raise CorruptImageError(
        f'{was}: {image_faults.NOT_SUPPORTED}: {image.width} x {image.height} '
        'px do not fit a JPEG, whose sides are at most '
        f'{jpeg_structure.MAX_SIDE_PX} px')
  image.save(encoded, format='JPEG', quality=jpeg_quality, subsampling=0)
  return CheckedImage(encoded.getvalue(), image.width, image.height, was)


def _decode(data: bytes, form: str,
            read: Callable[[Image.Image, bytes], Any]) -> Any:
  """Opens and reads an image, of an animation the first frame.

  Args:
    data: the file.
    form: what it is, for the error.
    read: takes the open image and the file.

  Returns:
    What `read` returned.

  Raises:
    CorruptImageError: if it cannot be decoded.
  """
  try:
    with warnings.catch_warnings():
      # Of large images, which are checked here, and of odd metadata.
      warnings.simplefilter('ignore')
      file = io.BytesIO(data)
      # Opened as what it is, a TIFF file says why it cannot be.
      image = (TiffImagePlugin.TiffImageFile(file) if form == 'TIFF' else
               Image.open(file, formats=_PILLOW_FORMATS))
      _check_pixels(*image.size)
      return read(image, data)
  except CorruptImageError:
    raise
  # Pillow's plugins raise whatever a damaged file leads them to: OSError,
  # SyntaxError, struct.error, zlib.error, IndexError and others.
  except Exception as error:  # pylint: disable=broad-except
    reason = str(error) or type(error).__name__
    if isinstance(error, Image.UnidentifiedImageError):
      # Its message holds an address, which differs from run to run.
      reason = 'cannot be identified'
    if isinstance(error, Image.DecompressionBombError):
      # Pillow's limit is ours.
      reason = (f'{image_faults.NOT_SUPPORTED}: TensorFlow decodes at most '
                f'{MAX_PIXELS} px')
    elif form == _RARE_JPEG or isinstance(
        error, image_faults.NotSupportedError):
      reason = f'{image_faults.NOT_SUPPORTED}: {reason}'
      reason += '; save it as JPEG or PNG' * (form == _RARE_JPEG)
    raise CorruptImageError(image_faults.of_form(
        form, reason, image_faults.is_cut(form, data))) from error


def _read_rgb(image: Image.Image, data: bytes) -> tuple[Image.Image, bytes]:
  """Returns the image in mode RGB, and its color profile or b''."""
  converted = rgb_pixels.convert(image, data)
  return converted, image.info.get('icc_profile') or b''


def _read_scaled_down(image: Image.Image, data: bytes) -> None:
  """Decodes a JPEG to an eighth of its size: all of it, but at less cost."""
  del data
  image.draft('RGB', (1, 1))
  image.load()
