"""Runs an experiment: checks first, then Model Garden's experiment runner."""

from __future__ import annotations

from collections.abc import Callable
import functools
import os
import sys

from official.core import config_definitions as cfg
from official.core import task_factory
from official.core import train_lib
from official.core import train_utils
from official.modeling import performance
from official.vision.configs import image_classification as garden_configs
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.command_line import library_logs
from official_ext.configs import image_classification
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.tasks import preflight
from official_ext.training import best_checkpoint
from official_ext.training import memory
from official_ext.training import profiling
from official_ext.training import progress as progress_lib
from official_ext.training import strategies
from official_ext.training import summary
from official_ext.training import trainer as trainer_lib
from official_ext.training import worker_folder

MODES = ('train', 'eval', 'train_and_eval', 'continuous_eval')


def check(params: cfg.ExperimentConfig, mode: str, model_dir: str,
          profile_steps: int | None = None) -> None:
  """Finds what would fail later, while it is cheap.

  Runs no TensorFlow operation, since the strategy of several workers must be
  built before the first one.

  Args:
    params: the experiment's configuration.
    mode: one of MODES.
    model_dir: folder of the checkpoints and the logs.
    profile_steps: how many training steps to profile; None: no profile.

  Raises:
    ValueError: naming the value, what was expected and what to type instead.
  """
  if mode not in MODES:
    raise ValueError(
        f'--mode={mode} is not supported. Use one of {", ".join(MODES)}.')
  if (mode == 'continuous_eval' and
      params.runtime.distribution_strategy == 'multi_worker_mirrored'):
    raise ValueError(
        '--mode=continuous_eval runs in one process, but '
        'runtime.distribution_strategy is multi_worker_mirrored. Set it to '
        'mirrored.')
  if not isinstance(params.task, garden_configs.ImageClassificationTask):
    raise ValueError(
        f'the task of this experiment is {type(params.task).__name__}, but '
        "this program runs image classification. Use Model Garden's own "
        'driver for it.')
  # Model Garden's own experiments have neither setting.
  if (getattr(params.trainer, 'deterministic', False) and
      params.trainer.seed is None):
    raise ValueError(
        'trainer.deterministic is set, but trainer.seed is not. Set a seed.')
  _check_precision(params.runtime.mixed_precision_dtype)
  best_checkpoint.check(params)
  if profile_steps is not None:
    profiling.check(params, mode, profile_steps)
  checkpoint = _latest_checkpoint(model_dir)
  if checkpoint:
    metadata.check_same_architecture(checkpoint, metadata.describe(params))
  elif mode == 'eval' and not params.task.init_checkpoint:
    raise ValueError(
        f'--mode=eval: there is no checkpoint in {model_dir}, and untrained '
        'weights are not worth an evaluation. Give the --model_dir of a '
        'training, or set task.init_checkpoint.')
  elif params.task.init_checkpoint:
    try:
      object_graph.find(params.task.init_checkpoint)
    except ValueError as error:
      raise ValueError(f'task.init_checkpoint: {error}') from error
  preflight.check_files(params.task, _data_of_mode(mode))
  if 'train' in mode:
    try:
      tf.io.gfile.makedirs(model_dir)
    except tf.errors.OpError as error:
      raise ValueError(
          f'--model_dir={model_dir} cannot be made: {error.message}. Choose a '
          'folder that can be written.') from error


def check_records(params: cfg.ExperimentConfig, mode: str) -> None:
  """Looks into the records of the data sets that a mode reads.

  Args:
    params: the experiment's configuration.
    mode: one of MODES.

  Raises:
    ValueError: naming the record, what is wrong with it and the mend.
  """
  preflight.check_records(params.task, _data_of_mode(mode))


def run(params: cfg.ExperimentConfig, mode: str, model_dir: str,
        strategy: tf.distribute.Strategy,
        enable_async_checkpointing: bool = True,
        profile_steps: int | None = None,
        on_best: Callable[[], None] | None = None) -> trainer_lib.Trainer:
  """Runs an experiment that `check` has passed, and prints its summary.

  Args:
    params: the experiment's configuration.
    mode: one of MODES.
    model_dir: folder of the checkpoints and the logs.
    strategy: what `strategies.build` returned.
    enable_async_checkpointing: whether training goes on while a checkpoint is
      written.
    profile_steps: how many training steps to profile; None: no profile.
    on_best: what the chief calls once a new best checkpoint is written.

  Returns:
    The trainer, with the metrics of the last interval and evaluation.

  Raises:
    ValueError: if `model_dir` holds a checkpoint without metadata that is
      another model's.
  """
  is_chief = strategies.is_chief(strategy)
  if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    worker_folder.check_same_checkpoint(strategy, model_dir)
  if 'train' in mode and is_chief:
    train_utils.serialize_config(params, model_dir)
  _seed(params.trainer)
  if params.runtime.mixed_precision_dtype:
    performance.set_mixed_precision_policy(params.runtime.mixed_precision_dtype)
  # Libraries print too; keep a hold of the terminal.
  terminal = sys.stdout
  progress = progress_lib.Progress()
  if is_chief:
    progress = progress_lib.create(terminal)
    print(_describe(params), file=terminal, flush=True)
  profiler = None
  if profile_steps is not None:
    profiler = profiling.Profiler(
        model_dir, profile_steps, params.trainer.train_steps)
  try:
    with library_logs.without_prints(), worker_folder.enter(
        model_dir, params.trainer.best_checkpoint_export_subdir,
        is_chief) as write_dir:
      trainer = _train_and_evaluate(
          params, mode, model_dir, write_dir, strategy, progress, profiler,
          enable_async_checkpointing, on_best if is_chief else None)
  finally:
    progress.close()
  if profiler:
    profiler.end()
  if is_chief and (trainer.train_logs or trainer.validation_logs):
    print(_summary(trainer, params, model_dir), file=terminal, flush=True)
  return trainer


def _train_and_evaluate(
    params: cfg.ExperimentConfig, mode: str, model_dir: str, write_dir: str,
    strategy: tf.distribute.Strategy, progress: progress_lib.Progress,
    profiler: profiling.Profiler | None, enable_async_checkpointing: bool,
    on_best: Callable[[], None] | None) -> trainer_lib.Trainer:
  """Builds everything and hands over to Model Garden's runner."""
  with strategy.scope():
    task = task_factory.get_task(params.task, logging_dir=write_dir)
    trainer = train_utils.create_trainer(
        params,
        task,
        train='train' in mode,
        evaluate='eval' in mode,
        checkpoint_exporter=best_checkpoint.create(
            params, write_dir, on_best),
        trainer_cls=functools.partial(
            trainer_lib.Trainer, progress=progress, profiler=profiler,
            model_dir=model_dir))
  checkpoint = tf.train.latest_checkpoint(model_dir)
  if checkpoint and metadata.read(checkpoint) is None:
    metadata.check_same_variables(checkpoint, trainer.model)
  runner = train_lib.OrbitExperimentRunner(
      distribution_strategy=strategy,
      task=task,
      mode=mode,
      params=params,
      model_dir=write_dir,
      trainer=trainer,
      enable_async_checkpointing=enable_async_checkpointing)
  with strategy.scope():
    _run_mode(runner, mode, params.trainer, progress)
  return trainer


def _run_mode(runner: train_lib.OrbitExperimentRunner, mode: str,
              trainer: cfg.TrainerConfig,
              progress: progress_lib.Progress) -> None:
  """Drives the controller as the runner's own `run` does.

  Not `run` itself: at the end it freezes the whole model into a graph to count
  its FLOPs, which takes memory and time that the largest models do not have.
  """
  controller = runner.controller
  step = int(runner.trainer.global_step.numpy())
  if 'train' in mode and step >= trainer.train_steps:
    progress.interval(step, (
        f'the model_dir is trained already, to {trainer.train_steps} steps. '
        'Raise trainer.train_epochs or train_steps to go on, or choose another '
        '--model_dir'))
    if mode == 'train':
      return
    mode = 'eval'
  if mode == 'train':
    controller.train(steps=trainer.train_steps)
  elif mode == 'train_and_eval':
    controller.train_and_evaluate(
        train_steps=trainer.train_steps,
        eval_steps=trainer.validation_steps,
        eval_interval=trainer.validation_interval)
  elif mode == 'eval':
    controller.evaluate(steps=trainer.validation_steps)
  else:
    controller.evaluate_continuously(
        steps=trainer.validation_steps,
        timeout=trainer.continuous_eval_timeout,
        timeout_fn=lambda: (
            runner.trainer.global_step.numpy() >= trainer.train_steps))


def _latest_checkpoint(model_dir: str) -> str | None:
  """The newest checkpoint; an error if there are some that it cannot name."""
  if tf.io.gfile.exists(model_dir) and not tf.io.gfile.isdir(model_dir):
    raise ValueError(f'--model_dir={model_dir} is not a folder.')
  if any(character in model_dir for character in '[]*?'):
    raise ValueError(
        f'--model_dir={model_dir}: TensorFlow takes [, ], * and ? for a '
        'pattern and would not find the checkpoints again. Choose another '
        'name.')
  newest = tf.train.latest_checkpoint(model_dir)
  if newest:
    return newest
  found = sorted(tf.io.gfile.glob(os.path.join(model_dir, 'ckpt-*.index')))
  if found:
    raise ValueError(
        f'{model_dir} holds {os.path.basename(found[-1])}, but its file '
        '`checkpoint`, which names the newest, is missing or damaged. Going on '
        'would begin at step 0 and overwrite it. Write the line '
        f'model_checkpoint_path: "{os.path.basename(found[-1])[:-6]}" into it, '
        'or choose another --model_dir.')
  return None


def _check_precision(dtype: str | None) -> None:
  if dtype not in (None, '', 'float32', 'float16', 'bfloat16'):
    raise ValueError(
        f'runtime.mixed_precision_dtype is {dtype!r}, but must be bfloat16, '
        'float16, float32 or null.')


def _data_of_mode(mode: str) -> list[str]:
  """The data sets that a mode reads."""
  return [name for name, part in (('train_data', 'train'),
                                  ('validation_data', 'eval')) if part in mode]


def _seed(trainer: image_classification.TrainerConfig) -> None:
  # Model Garden's own experiments have neither setting.
  if getattr(trainer, 'seed', None) is not None:
    tf_keras.utils.set_random_seed(trainer.seed)
  if getattr(trainer, 'deterministic', False):
    tf.config.experimental.enable_op_determinism()


def _describe(params: cfg.ExperimentConfig) -> str:
  """The model on one line."""
  model = params.task.model
  if model.backbone.type != 'funnel_vit':
    return f'backbone {model.backbone.type}'
  spec = specs.resolve(model.backbone.funnel_vit, tuple(model.input_size[:2]))
  num_parameters = costs.count_parameters(
      spec, model.num_classes,
      bool(model.backbone.funnel_vit.layer_scale_init_value))
  multiply_adds = costs.count_multiply_adds(spec, model.num_classes)
  return (f'Funnel-ViT {spec.model_name}, {spec.layout_with_tokens}: '
          f'{num_parameters / 1e6:.1f} M parameters, '
          f'{multiply_adds / 1e9:.3g} GMACs per image')


def _summary(trainer: trainer_lib.Trainer, params: cfg.ExperimentConfig,
             model_dir: str) -> str:
  return '\n' + summary.format_table(
      train_logs=trainer.train_logs,
      validation_logs=trainer.validation_logs,
      top_k=params.task.evaluation.top_k,
      throughput=trainer.throughput,
      peak_memory=memory.measure(),
      checkpoint=tf.train.latest_checkpoint(model_dir),
      log_dir=os.path.normpath(model_dir))
