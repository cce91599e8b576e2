"""Hugging Face's preprocessor_config.json: how images become the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
import re
from typing import Any

from official_ext.command_line import errors
from official_ext.pretrained import architecture
from official_ext.pretrained import arrays
from official_ext.pretrained import config_settings
from official_ext.tasks import resizing

FILE = 'preprocessor_config.json'
# Pillow's numbers.
RESAMPLE = {1: 'lanczos3', 2: 'bilinear', 3: 'bicubic'}
_RESCALE = 1 / 255
_HALF = (0.5,) * 3
_CLIP = dict(
    resample=3, size=224, crop_size=224, do_center_crop=True,
    image_mean=(0.48145466, 0.4578275, 0.40821073),
    image_std=(0.26862954, 0.26130258, 0.27577711))
# What transformers takes where a setting is left out, by processor.
_PROCESSORS = {
    'ViT': dict(resample=2, size=224, image_mean=_HALF, image_std=_HALF),
    'DeiT': dict(resample=3, size=256, crop_size=224, do_center_crop=True,
                 image_mean=_HALF, image_std=_HALF),
    'CLIP': _CLIP, 'Bit': _CLIP,
    'Siglip': dict(resample=3, size={'height': 224, 'width': 224},
                   image_mean=_HALF, image_std=_HALF)}
# To which a mere number as the size is the square that images become.
_SQUARE = ('ViT', 'DeiT')
# The processor of a model whose file names none; of all others it is ViT's.
_OF_MODEL = {'deit': 'DeiT', 'dinov2': 'Bit', 'dinov2_with_registers': 'Bit',
             'clip': 'CLIP', 'clip_vision_model': 'CLIP',
             'siglip': 'Siglip', 'siglip_vision_model': 'Siglip'}


def read(path: str, image_size: Sequence[int],
         model_type: str) -> architecture.Preprocessing:
  """Reads how images are preprocessed.

  Args:
    path: of preprocessor_config.json.
    image_size: (height, width) that the model takes, px.
    model_type: of the model, which decides where the file names no processor.

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
  values = arrays.read_json(path)
  processor = _processor(path, values, model_type)
  settings = config_settings.ConfigSettings(path, values, dict(
      do_resize=True, do_rescale=True, do_normalize=True, do_center_crop=False,
      rescale_factor=_RESCALE) | _PROCESSORS[processor])
  settings.must_be('do_resize', True, 'images are resized')
  settings.must_be('do_rescale', True, 'values are brought to 0 to 1')
  # As a text some programs write fewer digits.
  if abs(settings.number('rescale_factor') - _RESCALE) > 1e-6:
    settings.must_be(
        'rescale_factor', _RESCALE, 'values are brought from 0..255 to 0..1')
  mean, stddev = (0.0,) * 3, (1.0,) * 3
  if settings.get('do_normalize'):
    mean, stddev = settings.mean_and_stddev('image_mean', 'image_std')
  resample = settings.integer('resample', 0)
  if resample not in RESAMPLE:
    raise errors.UserError(
        f'{path}: resample is {resample}, but only '
        f'{", ".join(f"{key} ({name})" for key, name in RESAMPLE.items())} are '
        'taken.')
  resized, squashes = _size(settings, 'size', processor in _SQUARE)
  fraction, kept = 1.0, resized
  if settings.get('do_center_crop'):
    kept, _ = _size(settings, 'crop_size', True)
    fraction = architecture.crop_fraction(kept, resized)
  elif not squashes:
    raise errors.UserError(
        f'{path}: size is {settings.get("size")!r} without a crop, so images '
        'are of any shape. Set "do_center_crop": true and "crop_size": '
        f'{list(image_size)} there.')
  _check_shape(settings, image_size, resized if squashes else None, kept)
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

  Raises:
    errors.UserError: if Hugging Face cannot prepare images so.
  """
  height, width = image_size
  if height != width and not preprocessing.squashes:
    raise errors.UserError(
        'Hugging Face resizes the short side of every image to one length, '
        f'and this model takes {height} x {width} px (height x width) of '
        'images of any shape; only with '
        'task.validation_data.resize_mode=squash_then_crop, which is another '
        'evaluation, could it be written.')
  numbers = {name: number for number, name in RESAMPLE.items()}
  fraction = preprocessing.crop_fraction
  resized = resizing.enlarged_size(image_size, fraction)
  crops = fraction < 1 or not preprocessing.squashes
  size = (dict(zip(('height', 'width'), resized)) if preprocessing.squashes
          else {'shortest_edge': resized[0]})
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


def _processor(path: str, values: Mapping[str, Any], model_type: str) -> str:
  """Returns which of the processors a file is of."""
  name = values.get('image_processor_type') or values.get(
      'feature_extractor_type')
  if name is None:
    return _OF_MODEL.get(model_type, 'ViT')
  for processor in _PROCESSORS:
    if re.fullmatch(
        f'{processor}(FeatureExtractor|ImageProcessor(Fast|Pil)?)', str(name)):
      return processor
  raise errors.UserError(
      f'{path}: images are prepared by {str(name)!r}, but only '
      f'{", ".join(f"{known}ImageProcessor" for known in _PROCESSORS)} are '
      'known. Write the one of these that does the same as '
      'image_processor_type there.')


def _check_shape(settings: config_settings.ConfigSettings,
                 image_size: Sequence[int], squashed: Sequence[int] | None,
                 kept: Sequence[int]) -> None:
  """Refuses sizes that are not one fraction of both sides."""
  height, width = image_size
  if not squashed and height != width:
    raise errors.UserError(
        f'{settings.path}: size is {settings.get("size")!r}, the short side of '
        f'every image, but the model takes {height} x {width} px (height x '
        'width), and an image to be cropped so must cover both. Give size as '
        'height and width there.')
  resized = squashed or _size(settings, 'size', False)[0]
  is_larger = any(side > whole for side, whole in zip(kept, resized))
  # Rounded to whole px as an evaluation does.
  is_stretched = not is_larger and resized != resizing.enlarged_size(
      kept, architecture.crop_fraction(kept, resized))
  if is_larger or is_stretched or kept[0] * width != kept[1] * height:
    raise errors.UserError(
        f'{settings.path}: size is {settings.get("size")!r} and crop_size '
        f'{settings.get("crop_size")!r}, but the model takes {height} x '
        f'{width} px (height x width): both must be of this shape, and the '
        'crop no larger than the size. Correct it there.')


def _size(settings: config_settings.ConfigSettings, name: str,
          is_square: bool) -> tuple[tuple[int, int], bool]:
  """Returns (height, width) of a setting, and whether it distorts images."""
  value = settings.get(name)
  if isinstance(value, dict):
    inner = config_settings.ConfigSettings(settings.path, value)
    if 'shortest_edge' in value:
      side = inner.integer('shortest_edge')
      return (side, side), False
    return (inner.integer('height'), inner.integer('width')), True
  if isinstance(value, list):
    return settings.sides(name), True
  side = settings.integer(name)
  return (side, side), is_square
