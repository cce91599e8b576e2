"""Derives and checks what semantic segmentation has of its own."""

from __future__ import annotations

from official.core import config_definitions as cfg

from official_ext.configs import semantic_segmentation as configs
from official_ext.params import read_maps
from official_ext.params.fields import rules


def is_of(params: cfg.ExperimentConfig) -> bool:
  """Says whether an experiment segments images, on our settings."""
  return isinstance(params.task, configs.SemanticSegmentationTask)


def resolve(task: configs.SemanticSegmentationTask) -> None:
  """Derives the sizes of images and masks, in place.

  Args:
    task: the task's configuration, not locked.
  """
  size = list(task.model.input_size[:2])
  for data in (task.train_data, task.validation_data):
    if not data.output_size and not data.crop_size:
      data.output_size = list(size)
  data = task.validation_data
  if not data.resize_eval_groundtruth and not data.groundtruth_padded_size:
    data.groundtruth_padded_size = list(size)


def check(params: cfg.ExperimentConfig) -> None:
  """Refuses settings that would fail later, or evaluate something else.

  Args:
    params: an experiment that segments images, resolved.

  Raises:
    ValueError: naming the setting, and what to set instead.
  """
  task = params.task
  if task.model.backbone.type == 'funnel_vit':
    check_maps(task.model)
  for name in ('train_data', 'validation_data'):
    _check_data(task, name)
  for setting in ('mean', 'stddev'):
    trained, evaluated = (list(getattr(data.image_feature, setting)) for data in
                          (task.train_data, task.validation_data))
    if trained != evaluated:
      raise ValueError(
          f'task.validation_data.image_feature.{setting} is '
          f'{rules.show(evaluated)}, but task.train_data.image_feature.'
          f'{setting} is {rules.show(trained)}: a model is evaluated as it is '
          'trained. Set both to the same.')
  _check_classes(task)
  logs = params.trainer.logging
  if logs.confusion_matrix:
    raise ValueError(
        'trainer.logging.confusion_matrix is true, but of masks an evaluation '
        'logs the IoU of each class. Set it to false.')
  if task.differential_privacy_config:
    raise ValueError(
        'task.differential_privacy_config is set, but Model Garden clips the '
        'gradients of each image of its classification alone. Set it to null.')


def check_maps(model: configs.SemanticSegmentationModel) -> None:
  """Refuses what would fail, or lose pixels, in the middle of a model.

  Args:
    model: configuration of a model on `funnel_vit`.

  Raises:
    ValueError: if the backbone has no map that the decoder reads, or patches do
      not fill the images.
  """
  setting, level = {
      'identity': ('head.level', model.head.level),
      'aspp': ('decoder.aspp.level', model.decoder.aspp.level),
  }.get(model.decoder.type, ('min_level', model.min_level))
  read_maps.check(model, setting, [level])


def _check_data(task: configs.SemanticSegmentationTask, name: str) -> None:
  """Checks the settings of a data set against those of the model."""
  data, where = getattr(task, name), f'task.{name}'
  if data.tfds_name:
    raise ValueError(
        f'{where}.tfds_name is {data.tfds_name!r}, but images with masks are '
        f"read from TFRecords. Set task.data_dir, and {where}.tfds_name=''.")
  size = list(task.model.input_size[:2])
  # Only a training crops: an evaluation has no crop_size.
  setting = 'crop_size' if data.crop_size and data.is_training else (
      'output_size')
  if list(getattr(data, setting)) != size:
    raise ValueError(
        f'{where}.{setting} is {rules.show(list(getattr(data, setting)))}, but '
        f'the model takes images of {rules.show(size)} '
        '(task.model.input_size). Leave it out, or set both.')
  if data.aug_scale_min > data.aug_scale_max:
    raise ValueError(
        f'{where}.aug_scale_min is {data.aug_scale_min:g}, but must be at most '
        f'aug_scale_max, {data.aug_scale_max:g}.')
  if configs.is_centered(data) and not data.is_training and (
      not data.resize_eval_groundtruth):
    raise ValueError(
        f'{where}.centered_crop is true, but Model Garden evaluates masks at '
        'their own size only where images are at the left top. Set '
        f'{where}.resize_eval_groundtruth=true, or centered_crop=false.')
  if not data.preserve_aspect_ratio and not data.is_training and (
      not data.resize_eval_groundtruth):
    raise ValueError(
        f'{where}.preserve_aspect_ratio is false, with which Model Garden '
        'evaluates masks at the size of the input: the size of the image is '
        f'lost. Set {where}.resize_eval_groundtruth=true.')


def _check_classes(task: configs.SemanticSegmentationTask) -> None:
  """Checks what is counted by class."""
  losses, num_classes = task.losses, task.model.num_classes
  weights = losses.class_weights
  if weights and len(weights) != num_classes:
    raise ValueError(
        f'task.losses.class_weights has {len(weights)} weights, but the model '
        f'has {num_classes} classes (task.model.num_classes). Give one for '
        'each.')
  if losses.ignore_label < num_classes and not losses.gt_is_matting_map:
    raise ValueError(
        f'task.losses.ignore_label is {losses.ignore_label}, which is one of '
        f'the {num_classes} classes (task.model.num_classes). Set it to 255, '
        'for example.')
