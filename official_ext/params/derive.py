"""Derives what a configuration leaves open, and checks what it sets.

Steps follow from epochs, image count and batch size; seeds and input paths from
one setting each. What one kind of task has of its own is in `classification`
and `segmentation`.
"""

from __future__ import annotations

from absl import logging
from official.core import config_definitions as cfg
from official.modeling import hyperparams

from official_ext.command_line import paths
from official_ext.configs import image_classification
from official_ext.modeling import specs
from official_ext.optimization import addons
from official_ext.optimization import layerwise
from official_ext.optimization import runnable
from official_ext.params import classification
from official_ext.params import frozen_backbone
from official_ext.params import input_files
from official_ext.params import segmentation

# What the schedules call the step that their decay ends at.
_DECAY_STEPS = ('decay_steps', 'total_decay_steps')
# The schedules whose decay has an end: which of the two it is, and the learning
# rate from there on.
_ENDS = {
    'cosine': ('decay_steps', lambda schedule: (
        schedule.alpha * schedule.initial_learning_rate)),
    'polynomial': ('decay_steps', lambda schedule: schedule.end_learning_rate),
    'power_linear': ('total_decay_steps', lambda schedule: 0.0),
}
# The shards of each data set in task.data_dir.
PATTERNS = {'train_data': 'train*', 'validation_data': 'valid*'}


def resolve(params: cfg.ExperimentConfig) -> None:
  """Derives what the configuration leaves open, in place.

  Args:
    params: an experiment of ours, not locked.

  Raises:
    ValueError: if something cannot be derived, or does not fit.
  """
  addons.check(params.trainer.optimizer_config.optimizer.type)
  _expand_home(params)
  _check_seed(params.trainer)
  specs.of_model(params.task.model)
  segments = segmentation.is_of(params)
  if not segments:
    classification.check(params.task)
  _check_float16(params)
  _check_validation_data(params.task.validation_data)
  _check_data_service(params.task.train_data, params.trainer.seed)
  _resolve_data(params.task, _data_seed(params))
  (segmentation if segments else classification).resolve(params.task)
  _resolve_steps(params.trainer, params.task.train_data)
  _resolve_layer_decay(params)
  frozen_backbone.resolve(params)


def _expand_home(params: cfg.ExperimentConfig) -> None:
  """Replaces `~` in the settings that are paths, which no shell does."""
  task = params.task
  for group, names in (
      (task, ('data_dir', 'class_names_path', 'init_checkpoint')),
      (task.train_data, ('input_path', 'tfds_data_dir')),
      (task.validation_data, ('input_path', 'tfds_data_dir')),
      *([] if segmentation.is_of(params) else [
          (task.distillation, ('teacher',))]),
      (params.trainer.export, ('export_dir',))):
    for name in names:
      value = getattr(group, name)
      if isinstance(value, str):
        setattr(group, name, paths.expand_home(value))
      elif value:
        setattr(group, name, [paths.expand_home(path) for path in value])


def _check_seed(trainer: image_classification.TrainerConfig) -> None:
  if trainer.deterministic and trainer.seed is None:
    raise ValueError(
        'trainer.deterministic is set, but trainer.seed is not. Set a seed.')


def _check_float16(params: cfg.ExperimentConfig) -> None:
  """Refuses what cannot be where the loss is scaled."""
  if params.runtime.mixed_precision_dtype != 'float16':
    return
  # Of classifiers alone.
  num_microbatches = getattr(params.task, 'gradient_accumulation_steps', 1)
  if num_microbatches > 1:
    raise ValueError(
        f'task.gradient_accumulation_steps is {num_microbatches}, but '
        'gradients are not accumulated in float16, which scales the loss. Set '
        'runtime.mixed_precision_dtype=bfloat16.')
  if params.trainer.optimizer_config.ema:
    # Model Garden looks for the average outside of what scales the loss.
    raise ValueError(
        'trainer.optimizer_config.ema is set, but weights are not averaged in '
        'float16, which scales the loss. Set '
        'runtime.mixed_precision_dtype=bfloat16, or '
        'trainer.optimizer_config.ema=null.')


def _check_data_service(data: cfg.DataConfig,
                        seed: int | None) -> None:
  """Refuses a seed, which every worker of the service would begin from."""
  if data.enable_tf_data_service and seed is not None:
    raise ValueError(
        f'trainer.seed is {seed}, so every worker of the tf.data service would '
        'give the same batches in the same order. Set trainer.seed=null, or '
        'task.train_data.enable_tf_data_service=false.')


def _check_validation_data(data: cfg.DataConfig) -> None:
  """Refuses what would make an evaluation other than that of every image."""
  if data.enable_tf_data_service:
    raise ValueError(
        'task.validation_data.enable_tf_data_service would evaluate every '
        "image once for each of the service's workers. Set it to false; "
        'train_data may use the service.')


def _data_seed(params: cfg.ExperimentConfig) -> int | None:
  """Returns the seed of the shuffling: the run's, or one for all workers.

  Each worker takes its shard of the shuffled files. Shuffled otherwise on each
  of them, some files would be read twice and some never.
  """
  if (params.trainer.seed is None and
      params.runtime.distribution_strategy == 'multi_worker_mirrored'):
    return 0
  return params.trainer.seed


def _resolve_data(task: cfg.TaskConfig, seed: int | None) -> None:
  """Derives input paths and seeds of both data sets."""
  for name, pattern in PATTERNS.items():
    data = getattr(task, name)
    if data.tfds_name and (data.input_path or task.data_dir):
      raise ValueError(
          f'task.{name} has both tfds_name={data.tfds_name!r} and files '
          f'({data.input_path or task.data_dir!r}). For files set '
          f"task.{name}.tfds_name=''; for TFDS set task.data_dir='' and "
          f"task.{name}.input_path=''.")
    if task.data_dir and not data.input_path and not data.tfds_name:
      data.input_path = input_files.in_folder(task.data_dir, pattern)
    if data.seed is None:
      data.seed = seed


def _resolve_steps(trainer: image_classification.TrainerConfig,
                   data: cfg.DataConfig) -> None:
  """Derives the steps from the epochs."""
  steps_per_epoch = data.num_examples // data.global_batch_size
  if not trainer.train_steps:
    if not trainer.train_epochs:
      raise ValueError(
          'trainer.train_epochs and trainer.train_steps are both 0: set one.')
    if not steps_per_epoch:
      fix = 'Set num_examples to the number of training images'
      if data.num_examples:
        fix = ('They must be at least one batch: lower global_batch_size to '
               f'{data.num_examples} or less')
      raise ValueError(
          'steps cannot be derived from epochs: task.train_data.num_examples '
          f'is {data.num_examples} and global_batch_size is '
          f'{data.global_batch_size}. {fix}, or set trainer.train_steps.')
    trainer.train_steps = round(trainer.train_epochs * steps_per_epoch)
    if not trainer.train_steps:
      raise ValueError(
          f'trainer.train_epochs is {trainer.train_epochs}, not one of the '
          f'{steps_per_epoch} steps of an epoch. Raise it, or set '
          'trainer.train_steps.')
  interval = (
      max(round(trainer.interval_epochs * steps_per_epoch), 1)
      if trainer.interval_epochs and steps_per_epoch else 1_000)
  interval = min(interval, trainer.train_steps)
  trainer.steps_per_loop = trainer.steps_per_loop or interval
  trainer.summary_interval = trainer.summary_interval or trainer.steps_per_loop
  trainer.checkpoint_interval = trainer.checkpoint_interval or interval
  trainer.validation_interval = trainer.validation_interval or interval
  if trainer.summary_interval % trainer.steps_per_loop:
    raise ValueError(
        f'trainer.summary_interval is {trainer.summary_interval}, but must be '
        f'a multiple of steps_per_loop, {trainer.steps_per_loop}.')
  _resolve_schedule(trainer, data.global_batch_size)


def _resolve_schedule(trainer: image_classification.TrainerConfig,
                      batch_size: int) -> None:
  """Derives the warm-up and the decay of the learning rate."""
  optimizer_config = trainer.optimizer_config
  _resolve_warmup(trainer)
  schedule = optimizer_config.learning_rate.get()
  for name in _DECAY_STEPS:
    if hasattr(schedule, name) and getattr(schedule, name) is None:
      # From the step that the schedule begins at.
      setattr(schedule, name, max(
          trainer.train_steps - (getattr(schedule, 'offset', 0) or 0), 1))
  runnable.check(optimizer_config, trainer.train_steps)
  _scale_learning_rates(trainer, schedule, batch_size)
  _warn_of_a_decay_that_ends(trainer)


def warn_of_a_long_warmup(trainer: image_classification.TrainerConfig) -> None:
  """Warns of a warm-up that no training is left after.

  Args:
    trainer: resolved. One that a person set so is refused before.
  """
  optimizer_config = trainer.optimizer_config
  warmup = optimizer_config.warmup.get() if optimizer_config.warmup else None
  warmup_steps = (warmup and warmup.warmup_steps) or 0
  if warmup_steps >= trainer.train_steps:
    logging.warning(
        'The warm-up takes %d steps, the run %d: the learning rate does not '
        'get to its peak%s. For a trial run that learns, set '
        'trainer.optimizer_config.warmup.%s.warmup_steps=%d.', warmup_steps,
        trainer.train_steps, _where_the_decay_ends(optimizer_config,
                                                   warmup_steps),
        optimizer_config.warmup.type, trainer.train_steps // 10)


def _resolve_warmup(trainer: image_classification.TrainerConfig) -> None:
  """Derives the steps of a warm-up that is a share of the run."""
  share, warmup = trainer.warmup_share, trainer.optimizer_config.warmup
  if not share:
    return
  if not warmup or not warmup.type:
    raise ValueError(
        f'trainer.warmup_share is {share}, but the experiment has no warm-up. '
        'Set trainer.optimizer_config.warmup.type=linear, or warmup_share=0.')
  warmup.get().warmup_steps = round(share * trainer.train_steps)


def _where_the_decay_ends(
    config: image_classification.OptimizationConfig, warmup_steps: int) -> str:
  """Says what a warm-up leads to that takes longer than the decay."""
  kind, schedule = config.learning_rate.type, config.learning_rate.get()
  if kind not in _ENDS or getattr(schedule, 'cycle', False):
    return ''
  name, end = _ENDS[kind]
  if getattr(schedule, name) + schedule.offset > warmup_steps:
    return ''
  return (f', and as learning_rate.type is {kind!r}, which has decayed by '
          f'then, goes to {end(schedule):g} alone')


def _warn_of_a_decay_that_ends(
    trainer: image_classification.TrainerConfig) -> None:
  """Warns of a learning rate that is at its end before the training is."""
  kind = trainer.optimizer_config.learning_rate.type
  schedule = trainer.optimizer_config.learning_rate.get()
  if kind not in _ENDS or getattr(schedule, 'cycle', False):
    return
  name, end = _ENDS[kind]
  last = getattr(schedule, name) + schedule.offset
  if last < trainer.train_steps:
    path = f'trainer.optimizer_config.learning_rate.{kind}.{name}'
    logging.warning(
        'The learning rate decays until step %d, and the training takes %d: '
        'for the last %d steps it stays at %g. %s=null lets it decay to the '
        'end.', last, trainer.train_steps, trainer.train_steps - last,
        end(schedule), path)


def _resolve_layer_decay(params: cfg.ExperimentConfig) -> None:
  """Derives how many layers a layer-wise learning rate is for."""
  optimizer = params.trainer.optimizer_config.optimizer.get()
  if not isinstance(optimizer, (layerwise.LayerwiseAdamWConfig,
                                layerwise.LayerwiseSGDConfig)):
    return
  spec = specs.of_model(params.task.model)
  if spec and optimizer.num_layers is None:
    optimizer.num_layers = spec.layout.num_layers


def _scale_learning_rates(trainer: image_classification.TrainerConfig,
                          schedule: hyperparams.Config,
                          batch_size: int) -> None:
  """Scales the learning rates with the batch, where that is asked for."""
  scaling = trainer.learning_rate_scaling
  exponents = {'none': 0.0, 'linear': 1.0, 'sqrt': 0.5}
  if scaling == 'none':
    return
  if trainer.reference_batch_size < 1:
    raise ValueError(
        f'trainer.learning_rate_scaling is {scaling}, but '
        'trainer.reference_batch_size is not set. Set it to the batch that '
        'the learning rate is given for.')
  if not hasattr(schedule, 'initial_learning_rate'):
    raise ValueError(
        'trainer.learning_rate_scaling needs a schedule with an '
        f'initial_learning_rate, not {type(schedule).__name__}. Set it to '
        'none and the learning rate yourself.')
  factor = (batch_size / trainer.reference_batch_size) ** exponents[scaling]
  rate = schedule.initial_learning_rate * factor
  if rate > runnable.MAX_LEARNING_RATE:
    raise ValueError(
        f'trainer.learning_rate_scaling is {scaling}, which makes of the '
        f'learning rate {schedule.initial_learning_rate:g} at a batch of '
        f'{trainer.reference_batch_size} (trainer.reference_batch_size) '
        f'{rate:g} at one of {batch_size}, but it may be at most '
        f'{runnable.MAX_LEARNING_RATE:,}. Set reference_batch_size to the '
        'batch that the learning rate is given for.')
  schedule.initial_learning_rate = rate
  warmup = trainer.optimizer_config.warmup.get()
  for config, name in ((schedule, 'end_learning_rate'),
                       (schedule, 'pre_offset_learning_rate'),
                       (warmup, 'warmup_learning_rate')):
    value = getattr(config, name, 0)
    # Above it, a cap that nothing reaches.
    if 0 < value <= runnable.MAX_LEARNING_RATE:
      setattr(config, name, value * factor)
  # What is saved beside the checkpoint is scaled already.
  trainer.learning_rate_scaling = 'none'
