"""What is wrong with a run, found before anything expensive starts."""

from __future__ import annotations

from collections.abc import Sequence

from absl import logging
from official.core import config_definitions as cfg
import tensorflow as tf

from official_ext.checkpoints import choose
from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.command_line import errors
from official_ext.command_line import paths
from official_ext.params import inexact_resumption
from official_ext.tasks import protocol
from official_ext.training import confusion_counts
from official_ext.training import folder_lock
from official_ext.training import modes
from official_ext.training import new_folders
from official_ext.training import profiling
from official_ext.training import slow_folder
from official_ext.training import start_folder
from official_ext.training import teacher

# What only an evaluation reads.
_OF_EVALUATION = ('validation_steps', 'validation_interval',
                  'validation_summary_subdir', 'best_checkpoint_export_subdir')


def check(params: cfg.ExperimentConfig, task: protocol.Task, mode: str,
          model_dir: str, profile_steps: int | None,
          folders: new_folders.NewFolders) -> None:
  """Checks what needs neither a device nor a record; makes the folders.

  Args:
    params: the experiment's configuration.
    task: its task.
    mode: one of `modes.MODES`.
    model_dir: folder of the checkpoints and the logs.
    profile_steps: how many training steps to profile; None: no profile.
    folders: makes those of the training.

  Raises:
    ValueError: naming the value, what was expected and what to type instead.
  """
  errors.check_choice('--mode', mode, modes.MODES)
  if (mode == 'continuous_eval' and
      params.runtime.distribution_strategy == 'multi_worker_mirrored'):
    raise ValueError(
        '--mode=continuous_eval runs in one process, but '
        'runtime.distribution_strategy is multi_worker_mirrored. Set it to '
        'mirrored.')
  metrics = task.best_checkpoint_metrics()
  _check_best_checkpoint(params, metrics)
  stopping = params.trainer.early_stopping
  if stopping.patience_evaluations and metrics is not None:
    errors.check_choice(
        'trainer.early_stopping.metric', stopping.metric, metrics)
  confusion_counts.check(params)
  if not modes.evaluates(mode):
    _warn_of_evaluation(params.trainer, mode)
  if profile_steps is not None:
    profiling.check(params, mode, profile_steps)
  export_dir = params.trainer.export.export_dir
  if export_dir:
    paths.check_no_pattern('trainer.export.export_dir', export_dir)
  checkpoint = latest_checkpoint(model_dir)
  if checkpoint:
    metadata.check_same_architecture(checkpoint, metadata.describe(params))
    # Of a training that goes on, all settings are compared.
    if not modes.trains(mode):
      metadata.check_same_preprocessing(checkpoint, params)
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
  task.check_files(modes.data_sets(mode))
  if modes.trains(mode):
    task.teacher = teacher.find(params)
    inexact_resumption.warn(params)
    start_folder.check(params.trainer, model_dir)
    folders.make('--model_dir', model_dir)
    if params.runtime.distribution_strategy != 'multi_worker_mirrored':
      # Of several workers, the first may hold it already.
      folder_lock.check(model_dir)
    export = params.trainer.export
    if export.export_dir and (export.at_end or export.at_best):
      folders.make('trainer.export.export_dir', export.export_dir)


def _warn_of_evaluation(trainer: cfg.TrainerConfig, mode: str) -> None:
  """Warns of settings of an evaluation, where there is none."""
  default = type(trainer)()
  derived = {one.setting for one in trainer.derived}
  for name in _OF_EVALUATION:
    value = getattr(trainer, name)
    if value != getattr(default, name) and f'trainer.{name}' not in derived:
      logging.warning(
          'trainer.%s is %r, but has no effect: --mode=%s does not evaluate. '
          'Use train_and_eval.', name, value, mode)
  if trainer.logging.confusion_matrix and mode == 'train':
    logging.warning(
        'trainer.logging.confusion_matrix is true, but has no effect: '
        '--mode=train does not evaluate. Use train_and_eval.')
  stopping = trainer.early_stopping
  if stopping.patience_evaluations and mode == 'train':
    logging.warning(
        'trainer.early_stopping.patience_evaluations is %d, but has no effect: '
        '--mode=train does not evaluate. Use train_and_eval.',
        stopping.patience_evaluations)


def _check_best_checkpoint(params: cfg.ExperimentConfig,
                           metrics: Sequence[str] | None) -> None:
  """Refuses settings of the best checkpoint that would fail after an epoch.

  Args:
    params: the experiment's configuration.
    metrics: what can decide on it; None: that is not known yet.

  Raises:
    ValueError: naming the setting and what to type instead.
  """
  trainer = params.trainer
  subdir = trainer.best_checkpoint_export_subdir
  metric = trainer.best_checkpoint_eval_metric
  usual = metrics[0] if metrics else 'accuracy'
  if trainer.export.at_best and not (subdir and metric):
    raise ValueError(
        'trainer.export.at_best exports the best checkpoint, but none is kept. '
        'Set trainer.best_checkpoint_export_subdir=best and '
        f'trainer.best_checkpoint_eval_metric={usual}.')
  if bool(subdir) != bool(metric):
    raise ValueError(
        f'trainer.best_checkpoint_export_subdir is {subdir!r} and '
        f'best_checkpoint_eval_metric {metric!r}, but a best checkpoint needs '
        f'both. Set them, to best and {usual} for example, or neither.')
  if not subdir:
    return
  errors.check_choice(
      'trainer.best_checkpoint_metric_comp',
      trainer.best_checkpoint_metric_comp, ('higher', 'lower'))
  if metrics is not None:
    errors.check_choice(
        'trainer.best_checkpoint_eval_metric', metric, metrics)


def latest_checkpoint(model_dir: str) -> str | None:
  """Finds the newest checkpoint of a training.

  Args:
    model_dir: folder of the training.

  Returns:
    The prefix of the newest whole one; None if there is none at all.

  Raises:
    ValueError: if there are some, but none is whole, or the path is none of a
      folder.
  """
  paths.check_no_pattern('--model_dir', model_dir)
  with slow_folder.told(model_dir, 'reading its checkpoints'):
    return _newest(model_dir)


def _newest(model_dir: str) -> str | None:
  """Returns the newest checkpoint of a path that may be none of a folder."""
  try:
    is_file = (tf.io.gfile.exists(model_dir) and
               not tf.io.gfile.isdir(model_dir))
  except tf.errors.OpError as error:
    raise ValueError(
        f'--model_dir={model_dir} cannot be reached: {errors.reason(error)}. '
        'Check its name and the network.') from error
  if is_file:
    raise ValueError(f'--model_dir={model_dir} is not a folder.')
  return choose.newest(model_dir)
