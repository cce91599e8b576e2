"""Warnings of settings that do something, but hardly what was meant."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from absl import logging
from official.core import config_definitions as cfg

from official_ext.configs import image_classification
from official_ext.params import segmentation
from official_ext.params.fields import rules

_OPTIMIZATION = 'trainer.optimizer_config'
# What makes another image of each, by its setting in task.train_data.
_AUGMENTATION = ('aug_crop', 'aug_rand_hflip', 'aug_type', 'color_jitter',
                 'random_erasing', 'three_augment')
_SEGMENTATION = ('aug_rand_hflip', 'crop_size')
# The schedules that Model Garden evaluates at negative steps before an offset.
_CONTINUED_BACKWARDS = ('cosine', 'exponential', 'polynomial')
_RATES = ('initial_learning_rate', 'learning_rate')


def warn(params: cfg.ExperimentConfig, changed: Collection[str]) -> None:
  """Warns of settings that a person will hardly have meant.

  Args:
    params: an experiment of ours, every value derived.
    changed: paths of the settings that are other than in the experiment. What
      an experiment brings is no mistake of who makes a short trial of it.
  """
  if segmentation.is_of(params):
    _warn_of_cached_augmentation(params.task.train_data, _SEGMENTATION)
  else:
    _warn_of_cached_augmentation(params.task.train_data, _AUGMENTATION)
    _warn_of_no_normalization(params.task.train_data, changed)
    _warn_of_other_labels(params.task, changed)
  _warn_of_boundaries(params.trainer, changed)
  _warn_of_an_offset(params.trainer.optimizer_config, changed)
  _warn_of_no_learning_rate(params.trainer.optimizer_config, changed)
  _warn_of_a_warmup_that_falls(params.trainer.optimizer_config, changed)


def _warn_of_cached_augmentation(data: cfg.DataConfig,
                                 names: Sequence[str]) -> None:
  found = [name for name in names if getattr(data, name)]
  if data.cache and found:
    logging.warning(
        'task.train_data.cache is true, so every epoch has the same augmented '
        'images (%s). Set it to false, or switch the augmentation off.',
        ', '.join(found))


def _warn_of_no_normalization(data: image_classification.DataConfig,
                              changed: Collection[str]) -> None:
  path = 'task.train_data.stddev_rgb'
  if path in changed and set(data.stddev_rgb) == {1} and (
      not any(data.mean_rgb)):
    logging.warning(
        '%s is %s and mean_rgb is %s, so the model gets values from 0 to 255. '
        'Did you mean %s=[255, 255, 255]?', path, rules.show(data.stddev_rgb),
        rules.show(data.mean_rgb), path)


def _warn_of_other_labels(task: image_classification.ImageClassificationTask,
                          changed: Collection[str]) -> None:
  """Warns of one data set with a label offset, and the other left without."""
  names = ['train_data', 'validation_data']
  given = [f'task.{name}.label_offset' in changed for name in names]
  if all(given) or bool(task.train_data.tfds_name) != bool(
      task.validation_data.tfds_name):
    return
  if given[1]:
    names.reverse()
  offset, other = (getattr(task, name).label_offset for name in names)
  if any(given) and offset != other:
    logging.warning(
        'task.%s.label_offset is %d, but task.%s.label_offset is not set and '
        'therefore %d: the same label means another class in each. Set it '
        'too.', names[0], offset, names[1], other)


def _warn_of_boundaries(trainer: image_classification.TrainerConfig,
                        changed: Collection[str]) -> None:
  learning_rate = trainer.optimizer_config.learning_rate
  path = f'{_OPTIMIZATION}.learning_rate.stepwise.boundaries'
  if learning_rate.type != 'stepwise' or path not in changed:
    return
  schedule = learning_rate.stepwise
  if schedule.boundaries[-1] + schedule.offset >= trainer.train_steps:
    logging.warning(
        '%s is %s, but the run ends at step %d: the learning rates from there '
        'on are never reached.', path, rules.show(schedule.boundaries),
        trainer.train_steps)


def _warn_of_an_offset(config: image_classification.OptimizationConfig,
                       changed: Collection[str]) -> None:
  kind, schedule = config.learning_rate.type, config.learning_rate.get()
  path = f'{_OPTIMIZATION}.learning_rate.{kind}.offset'
  if kind not in _CONTINUED_BACKWARDS or path not in changed:
    return
  warmup = config.warmup.get()
  warmup_steps = warmup.warmup_steps if warmup else 0
  if schedule.offset > warmup_steps:
    logging.warning(
        '%s is %d, but the warm-up has %d steps. Until step %d Model Garden '
        'continues the schedule backwards, to other learning rates than the '
        'initial one. Set a warm-up of as many steps, or offset=0.', path,
        schedule.offset, warmup_steps, schedule.offset)


def _warn_of_no_learning_rate(config: image_classification.OptimizationConfig,
                              changed: Collection[str]) -> None:
  kind, schedule = config.learning_rate.type, config.learning_rate.get()
  for name in _RATES:
    path = f'{_OPTIMIZATION}.learning_rate.{kind}.{name}'
    if path in changed and getattr(schedule, name, None) == 0:
      logging.warning(
          '%s is 0: after the warm-up, if there is one, the weights stay what '
          'they are.', path)


def _warn_of_a_warmup_that_falls(
    config: image_classification.OptimizationConfig,
    changed: Collection[str]) -> None:
  path = f'{_OPTIMIZATION}.warmup.linear.warmup_learning_rate'
  schedule = config.learning_rate.get()
  peak = max([getattr(schedule, name, 0) or 0 for name in _RATES] +
             list(getattr(schedule, 'values', None) or []))
  if config.warmup.type != 'linear' or path not in changed:
    return
  if config.warmup.linear.warmup_learning_rate > peak:
    logging.warning(
        '%s is %g, but the learning rate after the warm-up is at most %g: it '
        'would fall from the first step. Lower it.', path,
        config.warmup.linear.warmup_learning_rate, peak)
