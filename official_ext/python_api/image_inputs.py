"""Images as a program has them: files of any form, arrays of any size.

Each becomes what a server is asked with: the bytes of a file that it decodes,
or else pixels. So a program gets the answers that a client gets.

Legend: B images, H, W sides of an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import itertools
import os
from typing import Any

import numpy as np
from PIL import Image
from PIL import ImageOps
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.tasks import exif_orientation
from official_ext.tasks import file_forms
from official_ext.tasks import image_header

# What the values of an array may go up to.
MAX_VALUES = (255, 1)
# Floats without a larger value are not taken for 0 to 255: white may be 1, or,
# as in scikit-learn's digits, 16.
_DARK = 16
# What is beyond a limit by this share, or below 0 by as much, is an error of
# rounding, as of resizing.
_ROUNDING = 1e-3
# White of 16 bits, as cameras and scanners have it.
_MAX_16_BITS = 65535
_LONGEST_PATH = 1024  # Characters; what is longer is no path.
_SHAPES = (
    'an image is [height, width], [height, width, 1] or [height, width, 3], '
    'and a batch [images, height, width, 1] or [images, height, width, 3]')


@dataclasses.dataclass(frozen=True)
class ImageInput:
  """An image as a server is asked with it.

  Attributes:
    name: what it is called in a message.
    value: the bytes of a JPEG, PNG or BMP file, or uint8 [H, W, 3].
  """
  name: str
  value: bytes | np.ndarray


def collect(images: Any, max_value: float | None,
            orientations: str) -> Iterator[ImageInput]:
  """Makes inputs of images.

  Args:
    images: the path of a file, its bytes, an array, or a list of these; an
      array of four dimensions is a batch.
    max_value: what the values of arrays of floats go up to, 255 or 1; None:
      255, and arrays without a value above 16 are refused.
    orientations: whether files are turned as their EXIF data say, as
      `exif_orientation.of_model` returns it.

  Returns:
    The images, in their order; a file is read when its turn comes.

  Raises:
    errors.UserError: if there is no image, a file is missing, or, when its
      turn comes, one is no image, naming it.
    ValueError: inside of a `tf.function`.
  """
  if not tf.executing_eagerly():
    # AutoGraph passes on what it knows, which is not our kind of it.
    raise ValueError(
        'inside of a tf.function or of Dataset.map images have no values yet. '
        'Ask outside of it; or call the Keras model, funnel.model, inside.')
  if max_value not in (None, *MAX_VALUES):
    raise errors.UserError(
        f'max_value is {max_value!r}, but must be 255 or 1: what stands for '
        'white in arrays of floats.')
  if isinstance(images, np.ndarray) and images.dtype.kind in 'OSU':
    images = images.tolist()  # Paths, or arrays of several sizes.
  if _is_file(images) or hasattr(images, 'shape') or isinstance(
      images, Image.Image):
    named = [('the image', images)]
  elif isinstance(images, Sequence):
    named = [(f'image {index}', image) for index, image in enumerate(images)]
  else:
    raise errors.UserError(
        f'images is {type(images).__name__}. Give a path, an array, or a list '
        'of them.')
  if not named:
    raise errors.UserError('there are no images: the list is empty.')
  for _, image in named:
    if isinstance(image, (str, os.PathLike)):
      _check_is_file(os.fspath(image))
  return itertools.chain.from_iterable(
      _inputs(image, name, max_value, orientations) for name, image in named)


def _is_file(image: Any) -> bool:
  return isinstance(image, (str, bytes, bytearray, os.PathLike))


def _inputs(image: Any, name: str, max_value: float | None,
            orientations: str) -> Iterator[ImageInput]:
  """Yields one image, or those of a batch."""
  if isinstance(image, (bytes, bytearray)):
    yield ImageInput(name, _of_file(name, bytes(image), orientations))
  elif _is_file(image):
    path = os.fspath(image)
    yield ImageInput(path, _of_file(path, _read(path), orientations))
  else:
    batch = _of_array(name, _upright(name, image, orientations), max_value)
    for index, pixels in enumerate(batch):
      yield ImageInput(
          name if len(batch) == 1 else f'{name}[{index}]', pixels)


def _check_is_file(path: str) -> None:
  """Refuses a path before any other is read."""
  if not path:
    raise errors.UserError(
        "the path of an image is empty. Give one, such as 'photo.jpg'.")
  if path.startswith(('http://', 'https://')):
    raise errors.UserError(
        f'{path} is a web address. Download the image, and give the path of '
        'the file.')
  if tf.io.gfile.isdir(path):
    raise errors.UserError(
        f'{path} is a folder. Give the paths of the image files in it.')
  if not tf.io.gfile.exists(path):
    raise errors.UserError(f'{path} does not exist.')


def _read(path: str) -> bytes:
  try:
    with tf.io.gfile.GFile(path, 'rb') as file:
      return file.read()
  except tf.errors.OpError as error:
    # TensorFlow names the file as well.
    reason = errors.reason(error).removeprefix(f'{path}; ')
    raise errors.UserError(f'{path}: {reason}') from error


def _of_file(name: str, encoded: bytes, orientations: str
             ) -> bytes | np.ndarray:
  """Returns a file that a server takes, or the pixels of another."""
  if file_forms.is_served(encoded):
    return encoded
  try:
    return file_forms.decode(encoded, orientations)
  except ValueError as error:
    hint = ('. A path is given as text, not as bytes'
            if _may_be_path(encoded) else '')
    raise errors.UserError(f'{name}: {error}{hint}') from error


def _may_be_path(encoded: bytes) -> bool:
  """Says whether bytes are rather the path of a file than what it holds."""
  return b'.' in encoded and len(encoded) < _LONGEST_PATH and (
      encoded.isascii() and encoded.decode().isprintable())


def _upright(name: str, image: Any, orientations: str) -> Any:
  """Turns a PIL image as its file would be turned; takes others as they are.

  Raises:
    errors.UserError: if its pixels cannot be read.
  """
  if not isinstance(image, Image.Image):
    return image
  try:
    image.load()
  except (OSError, SyntaxError) as error:
    raise errors.UserError(f'{name}: {error}.') from error
  return (ImageOps.exif_transpose(image)
          if orientations == exif_orientation.APPLY else image)


def _of_array(name: str, image: Any, max_value: float | None) -> np.ndarray:
  """Returns an array as uint8 [B, H, W, 3]."""
  if isinstance(image, Image.Image) and image.mode not in ('L', 'RGB'):
    raise errors.UserError(
        f'{name} is a PIL image of mode {image.mode}. {_pil_advice(image)}')
  if not hasattr(image, '__array__') and not hasattr(
      image, '__array_interface__'):
    raise errors.UserError(
        f'{name} is {type(image).__name__}. Give a path or an array.')
  pixels = np.asarray(image)
  if pixels.ndim == 2:
    pixels = pixels[..., np.newaxis]
  if pixels.ndim == 3:
    pixels = pixels[np.newaxis]
  _check_shape(name, np.asarray(image).shape, pixels)
  pixels = _whole(name, pixels, max_value)
  return np.broadcast_to(pixels, (*pixels.shape[:3], 3))


def _pil_advice(image: Image.Image) -> str:
  """Says what to do with an image that is not of 8 bits, gray or RGB."""
  # PIL would clip the values of these, not scale them.
  if image.mode == 'F':
    return 'Give np.asarray(image), and max_value=255 or 1.'
  if image.mode.startswith('I'):
    return ('Give the path of its file; or np.asarray(image) / '
            f'{_MAX_16_BITS} of 16 bits, and max_value=1.')
  return "Give image.convert('RGB'), or the path of its file."


def _check_shape(name: str, shape: Sequence[int], batch: np.ndarray) -> None:
  """Refuses what is no image or batch, [B, H, W, 1] or [B, H, W, 3]."""
  if batch.ndim == 4 and not len(batch):
    raise errors.UserError(f'there are no images: {name} is an empty batch.')
  if batch.ndim == 4 and batch.shape[-1] in (1, 3):
    height, width = batch.shape[1:3]
    if min(height, width) < image_header.MIN_SIDE_PX:
      raise errors.UserError(
          f'{name} is {height} x {width} px, but needs at least '
          f'{image_header.MIN_SIDE_PX} px on a side.')
    return
  advice = ''
  if batch.ndim == 4 and batch.shape[1] in (1, 3):
    advice = ' Move its channels to the end: np.moveaxis(images, -3, -1).'
  elif batch.ndim == 4 and batch.shape[-1] == 2:
    advice = ' Of gray with alpha, give images[..., :1].'
  elif batch.ndim == 4 and batch.shape[-1] == 4:
    advice = (' Of RGBA, give images[..., :3], or the path of the file, which '
              'is put over white.')
  if len(shape) == 3:
    advice += ' If these are gray images, give images[..., np.newaxis].'
  raise errors.UserError(
      f'{name} is an array of shape {list(shape)}; {_SHAPES}.{advice}')


def _whole(name: str, pixels: np.ndarray,
           max_value: float | None) -> np.ndarray:
  """Returns values of 0 to 255 as uint8, rounded."""
  is_float = np.issubdtype(pixels.dtype, np.floating) or (
      pixels.dtype.name == 'bfloat16')
  if not is_float and not np.issubdtype(pixels.dtype, np.integer):
    raise errors.UserError(
        f'{name} is an array of {pixels.dtype}. Give uint8, or floats of 0 to '
        '255.')
  if not is_float and max_value == 1 and 0 < pixels.max() <= 1:
    raise errors.UserError(
        f'{name} has integers of 0 to 1, of which 255 is white whatever '
        'max_value is. Give them as floats.')
  if pixels.dtype == np.uint8:
    return pixels
  if is_float:
    pixels = pixels.astype(np.float64)
  limit = (max_value or MAX_VALUES[0]) if is_float else MAX_VALUES[0]
  smallest, largest = pixels.min(), pixels.max()
  # Not by `or`: what is not a number is in no range.
  if not (smallest >= -_ROUNDING and largest <= limit * (1 + _ROUNDING)):
    raise errors.UserError(
        f'{name} has values of {smallest:g} to {largest:g}, but must have 0 '
        f'to {limit:g}. {_advice(smallest, largest, limit, is_float)}')
  if is_float and max_value is None and largest <= _DARK * (1 + _ROUNDING) and (
      pixels.any()):
    raise errors.UserError(
        f'{name} has floats up to {largest:g}, where 255 is white. Give '
        'max_value=1 if 1 is white; divide them by what else is white, and '
        'give max_value=1; or give max_value=255 if it is so dark.')
  scaled = np.clip(pixels, 0, limit) * (MAX_VALUES[0] / limit)
  return np.round(scaled).astype(np.uint8)


def _advice(smallest: float, largest: float, limit: float,
            is_float: bool) -> str:
  """Says what to do with values that are out of the range."""
  if smallest >= 0 and MAX_VALUES[0] < largest <= _MAX_16_BITS and (
      not is_float or largest == np.round(largest)):
    return ('Divide them by what is white, and give max_value=1: images / '
            f'{_MAX_16_BITS} of 16 bits, images / 4095 of 12.')
  if limit == 1 and _DARK < largest <= MAX_VALUES[0] and smallest >= 0:
    return 'Leave max_value out.'
  if limit == 1 and 0 <= smallest <= largest <= _DARK:
    return ('Divide them by what is white; or, if a resizing overshot, give '
            'np.clip(images, 0, 1).')
  return 'Give RGB values that are not normalised.'
