"""Checks of settings that each are fine, and do not go together.

What a single setting may be is in `official_ext.params.fields`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
import itertools
from typing import Any

import numpy as np
from official.core import config_definitions as cfg
from official.modeling import hyperparams
from official.modeling.privacy import configs as privacy

from official_ext.command_line import tables
from official_ext.configs import image_classification
from official_ext.modeling import specs
from official_ext.params import likely_mistakes
from official_ext.params import segmentation
from official_ext.params import tree
from official_ext.params.fields import rules
from official_ext.params.fields import task as task_fields

_OPTIMIZATION = 'trainer.optimizer_config'
# A learning rate of Model Garden counts its steps in 32 bits.
_MAX_STEPS = int(np.iinfo(np.int32).max)
# The methods to resize by that TensorFlow has no antialiasing for.
_ALIASED = ('nearest', 'area')
# As Model Garden hands them to TensorFlow.
_REDUCTIONS = {'mirrored': ('nccl', 'hierarchical_copy'),
               'multi_worker_mirrored': ('ring', 'nccl')}


def flat(settings: Mapping[str, Any], path: str = '') -> dict[str, Any]:
  """Returns nested settings by their paths.

  Args:
    settings: nested, by name.
    path: of `settings` itself, with a dot at its end.

  Returns:
    Every value by its path, such as 'trainer.train_steps'.
  """
  found = {}
  for name, value in settings.items():
    if isinstance(value, Mapping):
      found |= flat(value, f'{path}{name}.')
    else:
      found[f'{path}{name}'] = value
  return found


def check(params: cfg.ExperimentConfig, default: cfg.ExperimentConfig,
          given: Mapping[str, Any]) -> None:
  """Refuses settings that contradict each other, and warns of mistakes.

  Args:
    params: an experiment of ours, every value derived.
    default: the registered experiment.
    given: the settings that a person has set, by their paths.

  Raises:
    ValueError: naming both settings, and what to type instead.
  """
  task, trainer = params.task, params.trainer
  registered = {one.path: one.value for one in tree.walk(default)}
  # The file of a training holds everything, most of it unchanged.
  changed = {path for path, value in given.items()
             if value != registered.get(path)}
  _check_roles(task)
  if segmentation.is_of(params):
    segmentation.check(params)
  else:
    _check_augmentation(task)
    _check_top_k(task, changed)
  _check_backbone(task)
  _check_patches(task.model, segmentation.is_of(params))
  _check_lengths(trainer, task.train_data, changed)
  _check_loops(trainer)
  _check_clipping(trainer.optimizer_config.optimizer,
                  task.differential_privacy_config)
  _check_reduction(params.runtime)
  _check_schedule(trainer.optimizer_config.learning_rate, given)
  likely_mistakes.warn(params, changed)


def _check_roles(task: cfg.TaskConfig) -> None:
  for name, expected in (('train_data', True), ('validation_data', False)):
    if getattr(task, name).is_training != expected:
      raise ValueError(
          f'task.{name}.is_training is {rules.show(not expected)}, but the '
          f'name says what it is for. Leave it out.')


def _check_augmentation(
    task: image_classification.ImageClassificationTask) -> None:
  for name in ('train_data', 'validation_data'):
    data = getattr(task, name)
    where = f'task.{name}'
    mixing = data.mixup_and_cutmix
    if mixing and not mixing.mixup_alpha and not mixing.cutmix_alpha:
      raise ValueError(
          f'{where}.mixup_and_cutmix has mixup_alpha and cutmix_alpha 0, which '
          'mixes nothing. Set one of them, or '
          f'{where}.mixup_and_cutmix=null.')
    augmentation = data.aug_type
    if augmentation and augmentation.type == 'randaug' and not (
        task_fields.RANDAUGMENT - set(augmentation.randaug.exclude_ops)):
      raise ValueError(
          f'{where}.aug_type.randaug.exclude_ops names all '
          f'{len(task_fields.RANDAUGMENT)} operations, which leaves none. Take '
          f'one out, or set {where}.aug_type=null.')
    if data.tfds_name and data.tfds_as_supervised:
      raise ValueError(
          f"{where}.tfds_as_supervised is true, but Model Garden's decoders "
          'read images and labels by name. Leave it out.')
    if data.resize_antialias and data.tf_resize_method in _ALIASED:
      raise ValueError(
          f'{where}.resize_antialias is true, but tf_resize_method '
          f"'{data.tf_resize_method}' takes pixels as they are. Set it to "
          'bilinear or bicubic, or resize_antialias=false.')
    erasing = data.random_erasing
    if erasing and erasing.min_area > erasing.max_area:
      raise ValueError(
          f'{where}.random_erasing.min_area is {erasing.min_area}, but must be '
          f'at most max_area, {erasing.max_area}.')


def _check_top_k(task: image_classification.ImageClassificationTask,
                 changed: Collection[str]) -> None:
  top_k, num_classes = task.evaluation.top_k, task.model.num_classes
  # Who fine-tunes for three classes need not know of an experiment's top-5.
  if 'task.evaluation.top_k' in changed and top_k > num_classes:
    raise ValueError(
        f'task.evaluation.top_k is {top_k}, but the model has '
        f'{tables.counted(num_classes, "class", "classes")} '
        '(task.model.num_classes). Set it to that many at most.')


def _check_backbone(task: cfg.TaskConfig) -> None:
  """Checks what Model Garden's own backbones fail at once they are built."""
  kind, backbone = task.model.backbone.type, task.model.backbone.get()
  where = f'task.model.backbone.{kind}'
  if kind == 'funnel_vit':
    return
  if task.init_checkpoint and task.init_checkpoint_modules == 'all_but_head':
    raise ValueError(
        'task.init_checkpoint_modules is all_but_head, but the backbone '
        f"{kind} is loaded by Model Garden, which takes 'all' or 'backbone'.")
  if kind == 'vit' and backbone.pos_embed_shape and backbone.pooler == 'token':
    raise ValueError(
        f'{where}.pos_embed_shape is {rules.show(backbone.pos_embed_shape)}, '
        f"which counts patches alone, but {where}.pooler is 'token', which "
        f'adds a class token. Leave it out, or set {where}.pooler=gap.')
  if (kind == 'vit' and backbone.pooler == 'none' and
      not backbone.output_encoded_tokens):
    raise ValueError(
        f'{where}.output_encoded_tokens is false, but with pooler none the '
        'tokens are all that there is for the head. Leave it out.')


def _check_patches(model: hyperparams.Config, needs_all: bool) -> None:
  """Checks that patches fill the images, or what is left may be cropped."""
  kind, backbone = model.backbone.type, model.backbone.get()
  size = model.input_size[:2]
  if kind == 'vit':
    patch_size = specs.PRESETS[backbone.model_name]['patch_size']
    instead = '.'
  elif kind == 'funnel_vit' and (needs_all or not backbone.crop_to_patches):
    patch_size = specs.of_model(model).patch_size
    instead = '.' if needs_all else (
        ', or set task.model.backbone.funnel_vit.crop_to_patches=true to do '
        'without the rest of every image.')
  else:
    return
  specs.check_patches(size, patch_size, 'task.model.input_size', instead)


def _check_lengths(trainer: image_classification.TrainerConfig,
                   data: cfg.DataConfig,
                   changed: Collection[str]) -> None:
  """Checks what is counted in steps or images against the run."""
  if not 1 <= trainer.train_steps <= _MAX_STEPS:
    raise ValueError(
        f'trainer.train_epochs is {trainer.train_epochs}, which are '
        f'{trainer.train_steps:,} steps, but a run has 1 to {_MAX_STEPS:,}. '
        'Set trainer.train_epochs or trainer.train_steps.')
  for name in ('steps_per_loop', 'summary_interval'):
    value = getattr(trainer, name)
    if f'trainer.{name}' in changed and value > trainer.train_steps:
      raise ValueError(
          f'trainer.{name} is {value}, but the run has {trainer.train_steps} '
          'steps (trainer.train_steps). Leave it out, or set it to '
          f'{trainer.train_steps} at most.')
  warmup = trainer.optimizer_config.warmup
  where = f'{_OPTIMIZATION}.warmup.{warmup.type}.warmup_steps'
  if where in changed and warmup.get().warmup_steps > trainer.train_steps:
    raise ValueError(
        f'{where} is {warmup.get().warmup_steps}, but the run has '
        f'{trainer.train_steps} steps (trainer.train_steps): the learning rate '
        f'would not get to its peak. Set it to {trainer.train_steps // 10}, '
        'for example.')
  if 0 < data.num_examples < data.global_batch_size:
    raise ValueError(
        f'task.train_data.global_batch_size is {data.global_batch_size}, but '
        f'task.train_data.num_examples is {data.num_examples}: a batch would '
        'hold images twice. Lower it, or set num_examples to the number of '
        'training images.')


def _check_loops(trainer: image_classification.TrainerConfig) -> None:
  """Checks what Model Garden's loops need of each other."""
  for name in ('train', 'eval'):
    if (getattr(trainer, f'{name}_tf_while_loop') and
        not getattr(trainer, f'{name}_tf_function')):
      raise ValueError(
          f'trainer.{name}_tf_while_loop is true, but '
          f'trainer.{name}_tf_function is false, which it needs. Set '
          f'trainer.{name}_tf_while_loop=false too.')
  if trainer.allow_tpu_summary and not trainer.train_tf_while_loop:
    raise ValueError(
        'trainer.allow_tpu_summary is true, but trainer.train_tf_while_loop is '
        'false, which it needs. Set trainer.allow_tpu_summary=false.')


def _check_clipping(
    optimizer: hyperparams.OneOfConfig,
    differential_privacy: privacy.DifferentialPrivacyConfig | None) -> None:
  """Checks that gradients are clipped once."""
  chosen = optimizer.get()
  where = f'{_OPTIMIZATION}.optimizer.{optimizer.type}'
  found = [name for name in ('clipnorm', 'clipvalue', 'global_clipnorm')
           if getattr(chosen, name, None) is not None]
  # Of AdamW and what inherits from it; 0 is none.
  if getattr(chosen, 'gradient_clip_norm', 0):
    found.append('gradient_clip_norm')
  if not found:
    return
  name = found[-1]
  off = f'{where}.{name}={0 if name == "gradient_clip_norm" else "null"}'
  if len(found) > 1:
    raise ValueError(
        f'{where} has {" and ".join(found)}, but gradients are clipped in one '
        f'way. Set {off}, for example.')
  if differential_privacy:
    raise ValueError(
        'task.differential_privacy_config clips gradients by its '
        f'clipping_norm, but {where}.{name} is set too. Set {off}.')


def _check_reduction(runtime: cfg.RuntimeConfig) -> None:
  strategy = runtime.distribution_strategy
  known = _REDUCTIONS.get(strategy)
  if known and runtime.all_reduce_alg not in (None, *known):
    raise ValueError(
        f"runtime.all_reduce_alg is '{runtime.all_reduce_alg}', but with "
        f'runtime.distribution_strategy {strategy} must be '
        f'{" or ".join(known)}, or null: automatic.')


def _check_schedule(learning_rate: hyperparams.OneOfConfig,
                    given: Collection[str]) -> None:
  """Checks the learning rate, as far as Model Garden takes it unasked."""
  where = f'{_OPTIMIZATION}.learning_rate'
  kind, schedule = learning_rate.type, learning_rate.get()
  if (kind == 'constant' and f'{where}.type' in given and
      f'{where}.constant.learning_rate' not in given):
    raise ValueError(
        f"{where}.type is 'constant', but {where}.constant.learning_rate is "
        f'not set. Set it; unasked it would be {schedule.learning_rate}.')
  boundaries = getattr(schedule, 'boundaries', None)
  if boundaries is None:
    return
  where = f'{where}.{kind}'
  if not boundaries or not _ascend(boundaries):
    raise ValueError(
        f'{where}.boundaries is {rules.show(boundaries)}, but must be steps '
        'that ascend, each above the one before.')
  # A value for every part that boundaries make; of the cosine, for every
  # boundary.
  number = len(boundaries) + (kind != 'step_cosine_with_offset')
  if len(schedule.values) != number:
    raise ValueError(
        f'{where}.values has {len(schedule.values)} learning rates, but '
        f'{len(boundaries)} boundaries need {number}.')


def _ascend(steps: Sequence[int]) -> bool:
  return all(
      first < second for first, second in itertools.pairwise(steps))
