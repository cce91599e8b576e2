"""What a model must be given: how its images are prepared, as data.

Checkpoints carry it in their metadata, exports in what they say of themselves.
A model that gets its images otherwise answers too, and worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from absl import logging
import numpy as np
from official.core import config_definitions as cfg

from official_ext.configs import image_classification
from official_ext.configs import preprocessing
from official_ext.configs import semantic_segmentation
from official_ext.params.fields import rules

# In the metadata of a checkpoint.
KEY = 'preprocessing'
# The settings of task.train_data that a model is trained for, by their names
# there.
_NORMALIZATION = {'mean': 'mean_rgb', 'stddev': 'stddev_rgb'}
_OF_SEGMENTATION = {
    'mean': 'image_feature.mean', 'stddev': 'image_feature.stddev'}
# Of 255: what libraries write with so many digits is the same.
_TOLERANCE = 1e-2


def describe(task: cfg.TaskConfig) -> dict[str, Any]:
  """Says how images are prepared for the model of a task.

  Args:
    task: the task's configuration, resolved.

  Returns:
    Values that JSON can hold, in the order in which it is done:
    `center_crop_fraction`, None where nothing is cropped, `resize_mode`,
    `resize_method`, `resize_antialias`, and `mean` and `stddev` of RGB values
    from 0 to 255. A task that segments normalises first, and `is_centered`
    says where what is padded lies.
  """
  if isinstance(task, semantic_segmentation.SemanticSegmentationTask):
    return _describe_segmentation(task)
  return _describe_classification(task)


def _describe_segmentation(
    task: semantic_segmentation.SemanticSegmentationTask) -> dict[str, Any]:
  data = task.validation_data
  return {
      'mean': list(task.train_data.image_feature.mean),
      'stddev': list(task.train_data.image_feature.stddev),
      'resize_mode': (semantic_segmentation.RESIZE_THEN_PAD
                      if data.preserve_aspect_ratio else
                      semantic_segmentation.SQUASH),
      'resize_method': 'bilinear',
      'is_centered': semantic_segmentation.is_centered(data),
  }


def _describe_classification(
    task: image_classification.ImageClassificationTask) -> dict[str, Any]:
  data, trained = task.validation_data, task.train_data
  return {
      'center_crop_fraction': (
          data.center_crop_fraction if data.aug_crop else None),
      'resize_mode': (data.resize_mode if data.aug_crop else
                      preprocessing.SQUASH_THEN_CROP),
      'resize_method': data.tf_resize_method,
      'resize_antialias': preprocessing.antialiases(data, trained),
      'mean': preprocessing.mean_rgb(trained),
      'stddev': preprocessing.stddev_rgb(trained),
  }


def of_version_before(known: Mapping[str, Any]) -> dict[str, Any]:
  """Completes what an export of a version without these settings says."""
  if 'center_crop_fraction' not in known:
    return dict(known)  # Of a model that segments: no version said less.
  crops = known['center_crop_fraction'] is not None
  return {
      'resize_mode': (preprocessing.CROP_THEN_RESIZE if crops else
                      preprocessing.SQUASH_THEN_CROP),
      'resize_antialias': False,
      **known}


def check_same(known: Mapping[str, Any], task: cfg.TaskConfig,
               whose: str) -> None:
  """Refuses a normalisation other than the one that a model was trained with.

  Args:
    known: the metadata of its checkpoint; of an earlier version nothing is
      compared.
    task: the configuration to use it with.
    whose: what the model is called in the message.

  Raises:
    ValueError: naming both, and what to set.
  """
  differences = _differences(known, task)
  if differences:
    raise ValueError(f'{whose} was trained on images normalised otherwise: '
                     f'{differences}.')


def warn_of_others(known: Mapping[str, Any], task: cfg.TaskConfig) -> None:
  """Warns of a training that begins from a model normalised otherwise.

  Args:
    known: the metadata of `init_checkpoint`.
    task: the configuration of the training.
  """
  differences = _differences(known, task)
  if differences:
    logging.warning(
        'task.init_checkpoint was trained on images normalised otherwise: %s.',
        differences)


def _differences(known: Mapping[str, Any], task: cfg.TaskConfig) -> str:
  """Names what to set as the model was trained; empty if nothing is."""
  there, here = known.get(KEY), describe(task)
  if not there:
    return ''
  settings = _NORMALIZATION
  if isinstance(task, semantic_segmentation.SemanticSegmentationTask):
    settings = _OF_SEGMENTATION
  return '; '.join(
      f'task.train_data.{setting} is {rules.show(here[name])} here and '
      f'{rules.show(there[name])} there. Set task.train_data.{setting}='
      f'{_typed(there[name])}'
      for name, setting in settings.items()
      if name in there and not np.allclose(
          there[name], here[name], rtol=0, atol=_TOLERANCE))


def _typed(values: list[float]) -> str:
  """Returns a list as --params_override takes it."""
  return str([round(value, 3) for value in values]).replace(' ', '')
