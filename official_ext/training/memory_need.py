"""What a run needs of memory at the least, held against what there is.

TensorFlow asks for memory as it goes, and the operating system ends a process
that takes too much without a word. So sizes that cannot fit are refused before
anything is built. The estimate leaves out more than it counts: what it refuses
cannot run, what it takes may still not.
"""

from __future__ import annotations

import dataclasses
import math

from absl import logging
from official.core import config_definitions as cfg
from official.vision.configs import image_classification as garden
import tensorflow as tf

from official_ext.configs import backbones
from official_ext.configs import image_classification as configs
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.tasks import distillation
from official_ext.training import memory
from official_ext.training import modes

_GIB = 2**30
_WEIGHT_BYTES = 4
# The largest accelerators have 288 GiB.
_LARGEST_DEVICE_GIB = 512
# Fused layers compute again what an ideal backward pass would have saved.
_SAVED_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Need:
  """Memory that a part of a run needs at the least.

  Attributes:
    of: the part, in words.
    fixed_bytes: whatever the batch.
    image_bytes: for every image of the batch.
  """
  of: str
  fixed_bytes: float
  image_bytes: float

  def gib(self, batch_size: float) -> float:
    return (self.fixed_bytes + self.image_bytes * batch_size) / _GIB


def check(params: cfg.ExperimentConfig, mode: str,
          strategy: tf.distribute.Strategy,
          teacher: distillation.Teacher | None = None) -> None:
  """Refuses sizes for which a machine has not the memory.

  Args:
    params: the experiment's configuration, resolved.
    mode: one of `modes.MODES`.
    strategy: how the run is distributed.
    teacher: whose answers a training learns from, if any.

  Raises:
    ValueError: naming the setting, what it needs, what there is, and what to
      type instead.
  """
  is_on_host = not (params.runtime.distribution_strategy == 'tpu' or
                    tf.config.list_logical_devices('GPU'))
  machine_gib = _machine_gib()
  num_local = (1 if isinstance(
      strategy, tf.distribute.MultiWorkerMirroredStrategy)
               else strategy.num_replicas_in_sync)
  for name in modes.data_sets(mode):
    data = getattr(params.task, name)
    need = of_step(params, name, teacher)
    path = f'task.{name}.global_batch_size'
    if is_on_host and machine_gib is not None:
      # All replicas of this machine share its memory.
      share = num_local / strategy.num_replicas_in_sync
      _compare(need, path, data.global_batch_size, share, machine_gib,
               'this machine', params.task)
      _warn_of_little(need.gib(data.global_batch_size * share), path, data)
    else:
      _compare(need, path, data.global_batch_size,
               1 / strategy.num_replicas_in_sync, _LARGEST_DEVICE_GIB,
               'the largest accelerator', params.task)
    if machine_gib is not None:
      _check_images(params, name, machine_gib,
                    num_local / strategy.num_replicas_in_sync)


def of_step(params: cfg.ExperimentConfig, name: str,
            teacher: distillation.Teacher | None = None) -> Need:
  """Works out what a step on a data set needs at the least.

  Args:
    params: the experiment's configuration, resolved.
    name: 'train_data' or 'validation_data'.
    teacher: whose answers a training learns from, if any.

  Returns:
    The need of a training step, or of a step of an evaluation.
  """
  task = params.task
  trains = name == 'train_data'
  what = (f'a step of {"training" if trains else "evaluation"} on images of '
          f'{task.model.input_size[0]} x {task.model.input_size[1]} px')
  image_bytes = _image_bytes(task.model, getattr(task, name))
  spec = _spec(task.model)
  if spec is None:
    return Need(what, 0, image_bytes)
  weights = costs.count_parameters(spec, specs.count_classes(task.model))
  value_bytes = tf.as_dtype(params.runtime.mixed_precision_dtype or
                            'float32').size
  if not trains:
    block = max(spec.blocks, key=lambda one: one.num_tokens * one.mlp_dim)
    return Need(what, weights * _WEIGHT_BYTES, image_bytes + value_bytes * (
        block.num_tokens * block.mlp_dim))
  if getattr(task.model.backbone.get(), 'gradient_checkpointing', False):
    saved = sum(block.num_layers * block.num_tokens * block.hidden_size
                for block in spec.blocks)
  else:
    saved = _SAVED_SHARE * costs.count_saved_activations(spec)
  # The weights and their gradients; what a teacher computes is let go of.
  weights = 2 * weights + (_count_weights(teacher.task.model) if teacher else 0)
  # Of classifiers alone.
  num_microbatches = getattr(task, 'gradient_accumulation_steps', 1)
  return Need(what, weights * _WEIGHT_BYTES,
              image_bytes + saved * value_bytes / num_microbatches)


def _count_weights(model: garden.ImageClassificationModel) -> int:
  spec = _spec(model)
  return costs.count_parameters(spec, model.num_classes) if spec else 0


def _image_bytes(model: garden.ImageClassificationModel,
                 data: configs.DataConfig) -> int:
  return math.prod(model.input_size) * tf.as_dtype(data.dtype).size


def _spec(model: garden.ImageClassificationModel) -> specs.ModelSpec | None:
  if model.backbone.type != 'vit':
    return specs.of_model(model)
  vit = model.backbone.vit
  return specs.resolve(
      backbones.FunnelViT(
          model_name=vit.model_name, pooler=vit.pooler,
          representation_size=vit.representation_size),
      tuple(model.input_size[:2]))


def _compare(need: Need, path: str, batch_size: int, share: float,
             limit_gib: float, where: str,
             task: configs.ImageClassificationTask) -> None:
  """Raises ValueError if a share of a batch needs more than there is."""
  needed = need.gib(batch_size * share)
  if needed <= limit_gib:
    return
  found = (f'{need.of} needs at least {needed:,.0f} GiB, but {where} has '
           f'{limit_gib:,.0f} GiB')
  largest = math.floor(
      (limit_gib * _GIB - need.fixed_bytes) / need.image_bytes / share)
  if largest >= 1 / share:
    raise ValueError(
        f'{path} is {batch_size:,}: {found}. Set it to {largest:,} at most.')
  size = task.model.input_size
  raise ValueError(
      f'task.model.input_size is {list(size)}, and {path} {batch_size:,}: '
      f'{found}, which one image alone goes beyond. Make the images or '
      f'task.model.backbone.{task.model.backbone.type} smaller.')


def _warn_of_little(needed_gib: float, path: str,
                    data: configs.DataConfig) -> None:
  available = memory.proc_gib('/proc/meminfo', 'MemAvailable')
  if needed_gib > available:
    logging.warning(
        '%s is %d, which needs at least %.1f GiB, and %.1f GiB are free. If '
        'the run ends without a word, lower it.', path, data.global_batch_size,
        needed_gib, available)


def _check_images(params: cfg.ExperimentConfig, name: str, machine_gib: float,
                  share: float) -> None:
  """Refuses a cache, or batches read ahead, that the machine cannot hold."""
  data = getattr(params.task, name)
  image_gib = _image_bytes(params.task.model, data) * share / _GIB
  ahead = (data.prefetch_buffer_size or 0) * data.global_batch_size * image_gib
  if ahead > machine_gib:
    raise ValueError(
        f'task.{name}.prefetch_buffer_size is {data.prefetch_buffer_size:,}: '
        f'so many batches of {data.global_batch_size:,} images are '
        f'{ahead:,.0f} GiB, but this machine has {machine_gib:,.0f} GiB. Leave '
        'it out.')
  num_images = data.num_examples
  if name == 'train_data':
    num_images = min(
        num_images, params.trainer.train_steps * data.global_batch_size)
  if data.cache and num_images * image_gib > machine_gib:
    raise ValueError(
        f'task.{name}.cache is true: {num_images:,} images of '
        f'{params.task.model.input_size[0]} x '
        f'{params.task.model.input_size[1]} px are '
        f'{num_images * image_gib:,.0f} GiB, but this machine has '
        f'{machine_gib:,.0f} GiB. Set it to false.')


def _machine_gib() -> float | None:
  """Returns the memory of this machine, swap too; None: it is not known."""
  try:
    return sum(memory.proc_gib('/proc/meminfo', name)
               for name in ('MemTotal', 'SwapTotal'))
  except (OSError, StopIteration):
    return None
