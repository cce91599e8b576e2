"""The folder of a model as a `--config_file`: to begin from what it holds.

That of a training, or of an import, says what the model is and what images it
wants. A fine-tuning takes both over; the recipe, the data and the head are its
own. A segmentation that begins from a classifier takes the backbone without
what only a classifier reads, and no size of images: maps are finer of larger
ones, and positions are resampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from official.core import config_definitions as cfg

from official_ext.configs import backbones
from official_ext.configs import preprocessing
from official_ext.modeling import feature_levels
from official_ext.modeling import specs
from official_ext.params import change_kinds
from official_ext.params import segmentation
from official_ext.params import tree

# Other values of these would make another model.
_MODEL_KINDS = (change_kinds.Kind.ARCHITECTURE, change_kinds.Kind.VARIABLES)
_BACKBONE = 'task.model.backbone.'
# Beside the backbone: which images the model wants.
_IMAGES = (
    *change_kinds.OF_GRID,
    'task.train_data.mean_rgb', 'task.train_data.stddev_rgb',
    'task.train_data.resize_antialias', 'task.train_data.tf_resize_method',
    'task.validation_data.aug_crop', 'task.validation_data.resize_antialias',
    'task.validation_data.tf_resize_method',
    'task.validation_data.resize_mode',
    'task.validation_data.center_crop_fraction')
_FUNNEL_VIT = f'{_BACKBONE}funnel_vit'
# What a segmentation takes otherwise, or has of its own.
_OF_CLASSIFIER = (
    *_IMAGES, *(f'{_FUNNEL_VIT}.{name}' for name in (
        'pooler', 'representation_size', 'projection_size', 'class_token',
        'final_norm', 'feature_maps.levels', 'feature_maps.source',
        'feature_maps.recovery_layers', 'feature_maps.pyramid_filters')))


def settings(params: cfg.ExperimentConfig, folder: str,
             default: cfg.ExperimentConfig) -> dict[str, Any]:
  """Returns the settings of an experiment that begins from a model.

  Args:
    params: the configuration that is saved in the folder.
    folder: of the model's checkpoints.
    default: the experiment.

  Returns:
    Settings, nested by name.
  """
  values: dict[str, Any] = {
      'task.init_checkpoint': folder,
      # Those that it was trained on are seldom the classes of the data.
      'task.init_checkpoint_modules': 'backbone'}
  values |= {one.path: one.value for one in tree.walk(params)
             if one.is_chosen and not one.group and _is_of_model(one.path)}
  if segmentation.is_of(default) and not segmentation.is_of(params):
    values = _of_segmentation(values, params)
  found: dict[str, Any] = {}
  for path, value in values.items():
    *names, key = path.split('.')
    group = found
    for name in names:
      group = group.setdefault(name, {})
    group[key] = value
  return found


def _of_segmentation(values: Mapping[str, Any], params: cfg.ExperimentConfig
                     ) -> dict[str, Any]:
  """Returns the settings of a segmentation, of those of a classifier."""
  task = params.task
  found = {path: value for path, value in values.items()
           if path not in _OF_CLASSIFIER}
  for data in ('train_data', 'validation_data'):
    found[f'task.{data}.image_feature.mean'] = preprocessing.mean_rgb(
        task.train_data)
    found[f'task.{data}.image_feature.stddev'] = preprocessing.stddev_rgb(
        task.train_data)
  if task.model.backbone.type == 'funnel_vit':
    found |= _maps_of(task.model.backbone.funnel_vit)
  return found


def _maps_of(backbone: backbones.FunnelViT) -> dict[str, Any]:
  """Returns the tokens of a classifier, and that they become a map."""
  level = feature_levels.of_patches(
      backbone.patch_size or specs.PRESETS[backbone.model_name]['patch_size'])
  return {
      f'{_FUNNEL_VIT}.class_token': specs.has_class_token(backbone),
      # Without a pooler there is nothing else to normalise.
      f'{_FUNNEL_VIT}.final_norm': (
          'tokens' if backbone.final_norm == 'pooled' else backbone.final_norm),
      f'{_FUNNEL_VIT}.feature_maps.levels': [level],
      'task.model.head.level': level}


def _is_of_model(path: str) -> bool:
  return path in _IMAGES or (
      path.startswith(_BACKBONE) and
      change_kinds.of_setting(path) in _MODEL_KINDS)
