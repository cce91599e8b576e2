"""Image files of every form that the conversion takes, for what serves fewer.

JPEG, PNG and most BMP files go to a model as they are; what else the conversion
takes (GIF, TIFF, WebP, other BMP) is decoded by the conversion's own reader, so
that a model sees of a file what it saw of its kind in training. Imports
TensorFlow for BMP alone: the client does without.

Legend: H, W sides of an image.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from official_ext.data_prep import image_faults
from official_ext.data_prep import images as image_forms

# How much of a file `looks_like_image` and `what_it_is` need.
START_BYTES = 64
# Of what a server decodes by itself; of BMP not every kind.
_SERVED = (b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n')
_BMP = b'BM'


def is_served(encoded: bytes) -> bool:
  """Says whether a model decodes a file by itself.

  Args:
    encoded: the bytes of a file of any kind.

  Returns:
    Whether it is JPEG, PNG or a BMP file whose header TensorFlow reads.
  """
  if not encoded.startswith(_BMP):
    return encoded.startswith(_SERVED)
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.tasks import image_header
  # pylint: enable=g-import-not-at-top
  try:
    image_header.check(tf.constant(encoded))
  except tf.errors.InvalidArgumentError:
    return False
  return True


def decode(encoded: bytes, orientations: str) -> np.ndarray:
  """Decodes a file that a model does not decode.

  Args:
    encoded: the bytes of a file of any kind but JPEG.
    orientations: 'apply' turns it as its EXIF data say, 'ignore' does not.

  Returns:
    uint8 [H, W, 3], RGB.

  Raises:
    ValueError: if it holds no image, with the reason.
  """
  return image_forms.decode(encoded, orientations)


def as_served(encoded: bytes) -> bytes:
  """Returns a file that a model decodes.

  Args:
    encoded: the bytes of a file of any form that the conversion takes.

  Returns:
    The same, or the same pixels as a PNG file, which says their orientation
    as the file did: the model knows whether to turn them.

  Raises:
    ValueError: if it holds no image, with the reason and, of HEIC, AVIF and
      others, what to do.
  """
  return encoded if is_served(encoded) else image_forms.as_png(encoded)


def fault(encoded: bytes) -> str:
  """Says why the conversion would not take a file.

  Args:
    encoded: the bytes of a file of any kind.

  Returns:
    The reason that it would give; '' if it would take it.
  """
  try:
    image_forms.check(encoded, 'decode')
  except ValueError as error:
    return str(error)
  return ''


def looks_like_image(start: bytes) -> bool:
  """Says whether a file is of a form that the conversion takes.

  Args:
    start: the first `START_BYTES` of a file.

  Returns:
    Whether it begins so.
  """
  return image_forms.looks_like_image(start)


def what_it_is(start: bytes) -> str:
  """Says of a file that is no image what it is instead.

  Args:
    start: the first `START_BYTES` of a file.

  Returns:
    A few words, with what to do.
  """
  return image_faults.of_no_form(start)


def thumbnail(encoded: bytes, side_px: int) -> np.ndarray:
  """Decodes an image to be looked at, upright and small.

  Args:
    encoded: the bytes of a file of any form that the conversion takes.
    side_px: the longer side at most, px.

  Returns:
    uint8 [H, W, 3], RGB.

  Raises:
    ValueError: if it holds no image.
  """
  image = Image.open(io.BytesIO(image_forms.check(encoded).encoded))
  image.draft('RGB', (side_px, side_px))
  image.thumbnail((side_px, side_px))
  return np.asarray(image.convert('RGB'))
