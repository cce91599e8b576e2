"""Hugging Face's preprocessor_config.json: how images become the input."""

from __future__ import annotations

from collections.abc import Sequence
import os

from official_ext.command_line import errors
from official_ext.pretrained import architecture
from official_ext.pretrained import arrays
from official_ext.pretrained import config_settings

FILE = 'preprocessor_config.json'
# Pillow's numbers.
RESAMPLE = {2: 'bilinear', 3: 'bicubic'}
_RESCALE = 1 / 255


def read(path: str, image_size: Sequence[int]) -> architecture.Preprocessing:
  """Reads how images are preprocessed.

  Args:
    path: of preprocessor_config.json.
    image_size: (height, width) that the model takes, px.

  Returns:
    The preprocessing.

  Raises:
    errors.UserError: if the file is missing, or ours cannot do as it says.
  """
  if not os.path.isfile(path):
    raise errors.UserError(
        f'{path} is missing, and without it nobody knows the mean and the '
        'standard deviation of the images. Get it from where the weights are '
        'from.')
  settings = config_settings.ConfigSettings(path, arrays.read_json(path), dict(
      do_resize=True, do_rescale=True, do_normalize=True, do_center_crop=False,
      rescale_factor=_RESCALE))
  settings.must_be('do_resize', True, 'images are resized')
  settings.must_be('do_rescale', True, 'values are brought to 0 to 1')
  # As a text some programs write fewer digits.
  if abs(settings.number('rescale_factor') - _RESCALE) > 1e-6:
    settings.must_be(
        'rescale_factor', _RESCALE, 'values are brought from 0..255 to 0..1')
  mean, stddev = (0.0,) * 3, (1.0,) * 3
  if settings.get('do_normalize'):
    mean = settings.numbers('image_mean', 3)
    stddev = settings.numbers('image_std', 3)
    if min(stddev) <= 0:
      raise errors.UserError(
          f'{path}: image_std is {list(stddev)}, but must be above 0. Get the '
          'file anew.')
  resample = settings.integer('resample', 0)
  if resample not in RESAMPLE:
    raise errors.UserError(
        f'{path}: resample is {resample}, but only '
        f'{", ".join(f"{key} ({name})" for key, name in RESAMPLE.items())} are '
        'taken.')
  resized, squashes = _size(settings, 'size')
  fraction = 1.0
  if settings.get('do_center_crop'):
    crop, _ = _size(settings, 'crop_size')
    fraction = architecture.crop_fraction(crop, resized)
  elif not squashes:
    raise errors.UserError(
        f'{path}: size is {settings.get("size")!r} without a crop, so images '
        'are of any shape. Set "do_center_crop": true and "crop_size": '
        f'{list(image_size)} there.')
  return architecture.Preprocessing(
      mean, stddev, RESAMPLE[resample], fraction, squashes)


def write(preprocessing: architecture.Preprocessing, image_size: Sequence[int],
          kind: str) -> dict:
  """Says how images are preprocessed, as Hugging Face does.

  Args:
    preprocessing: what is done.
    image_size: (height, width) that the model takes, px.
    kind: the name of the processor's class.

  Returns:
    What preprocessor_config.json is to hold.
  """
  height, width = image_size
  numbers = {name: number for number, name in RESAMPLE.items()}
  fraction = preprocessing.crop_fraction
  resized = {'height': round(height / fraction),
             'width': round(width / fraction)}
  crops = fraction < 1 or not preprocessing.squashes
  size = (resized if preprocessing.squashes
          else {'shortest_edge': min(resized.values())})
  found = {
      'image_processor_type': kind,
      'do_resize': True, 'size': size,
      'resample': numbers[preprocessing.resize_method],
      'do_rescale': True, 'rescale_factor': _RESCALE,
      'do_normalize': True, 'image_mean': list(preprocessing.mean),
      'image_std': list(preprocessing.stddev), 'do_center_crop': crops}
  if crops:
    found['crop_size'] = {'height': height, 'width': width}
  return found


def _size(settings: config_settings.ConfigSettings,
          name: str) -> tuple[tuple[int, int], bool]:
  """Returns (height, width) of a setting, and whether it distorts images."""
  value = settings.get(name)
  if isinstance(value, dict):
    if 'shortest_edge' in value:
      side = settings.part(name).integer('shortest_edge')
      return (side, side), False
    inner = settings.part(name)
    return (inner.integer('height'), inner.integer('width')), True
  side = settings.integer(name)
  return (side, side), True
