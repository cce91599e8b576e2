"""Derives and checks what image classification has of its own."""

from __future__ import annotations

import copy

from official_ext.configs import image_classification
from official_ext.configs import preprocessing
from official_ext.params import distillation
from official_ext.params import uneven_classes
from official_ext.params.fields import rules


def check(task: image_classification.ImageClassificationTask) -> None:
  """Checks what images and labels are made to be, and what is learnt of them.

  Args:
    task: the task's configuration.

  Raises:
    ValueError: naming the setting, and what to set instead.
  """
  _check_labels_and_losses(task)
  uneven_classes.check(task)
  distillation.check(task)
  if task.validation_data.mixup_and_cutmix:
    raise ValueError(
        'task.validation_data.mixup_and_cutmix would evaluate mixed images. '
        'Set it to null.')


def resolve(task: image_classification.ImageClassificationTask) -> None:
  """Derives label offsets, and how images are prepared, in place.

  Args:
    task: the task's configuration, not locked.

  Raises:
    ValueError: if images are evaluated otherwise than they are trained on.
  """
  for data in (task.train_data, task.validation_data):
    if data.label_offset is None:
      is_tfds_imagenet = str(data.tfds_name).startswith('imagenet2012')
      data.label_offset = int(
          is_tfds_imagenet and
          task.model.num_classes == image_classification.IMAGENET_NUM_CLASSES)
  _resolve_preprocessing(task)


def _check_labels_and_losses(
    task: image_classification.ImageClassificationTask) -> None:
  """Checks that mixed images, and only they, have soft labels."""
  losses = task.losses
  if task.train_data.is_multilabel:
    _check_several_labels(task)
  elif task.train_data.mixup_and_cutmix:
    if losses.one_hot or not losses.soft_labels:
      raise ValueError(
          'task.train_data.mixup_and_cutmix makes labels soft: set '
          'task.losses.soft_labels=true and task.losses.one_hot=false, or '
          'switch it off with null.')
  elif losses.use_binary_cross_entropy:
    raise ValueError(
        'task.losses.use_binary_cross_entropy is true, which Model Garden '
        'computes of mixed images alone. Set task.train_data.mixup_and_cutmix, '
        'task.losses.soft_labels=true and one_hot=false; or leave it out.')
  elif losses.soft_labels:
    raise ValueError(
        'task.losses.soft_labels is true, but without '
        'task.train_data.mixup_and_cutmix labels are not soft: set '
        'task.losses.soft_labels=false and task.losses.one_hot=true.')


def _check_several_labels(
    task: image_classification.ImageClassificationTask) -> None:
  """Refuses what takes one label per image, where there are several."""
  if task.train_data.mixup_and_cutmix:
    raise ValueError(
        'task.train_data.mixup_and_cutmix mixes images of one label each, but '
        'task.train_data.is_multilabel is true. Set '
        'task.train_data.mixup_and_cutmix=null.')
  if task.train_data.tfds_name:
    raise ValueError(
        'task.train_data.is_multilabel is true, but the images of TFDS have '
        'one label each. Leave it out, or read TFRecords.')


def _resolve_preprocessing(
    task: image_classification.ImageClassificationTask) -> None:
  """Derives how images are prepared, in evaluation as in training."""
  trained = task.train_data
  for name, default in (
      ('mean_rgb', list(preprocessing.MEAN_RGB)),
      ('stddev_rgb', list(preprocessing.STDDEV_RGB)),
      ('resize_antialias', False)):
    if getattr(trained, name) is None:
      setattr(trained, name, default)
    if getattr(task.validation_data, name) is None:
      setattr(task.validation_data, name, copy.copy(getattr(trained, name)))
  for name in ('mean_rgb', 'stddev_rgb'):
    of_both = [list(getattr(data, name))
               for data in (trained, task.validation_data)]
    if of_both[0] != of_both[1]:
      raise ValueError(
          f'task.validation_data.{name} is {rules.show(of_both[1])}, but '
          f'task.train_data.{name} is {rules.show(of_both[0])}: a model is '
          'evaluated as it is trained. Set that of train_data alone.')
