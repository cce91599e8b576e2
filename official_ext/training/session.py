"""A run of an experiment: prepared while errors are cheap, then executed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import copy
import dataclasses
import functools
import os
import sys
from typing import Any, TextIO

from absl import logging
from official.core import config_definitions as cfg
from official.core import task_factory
from official.core import train_utils
from official.modeling import performance
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import choose
from official_ext.checkpoints import metadata
from official_ext.checkpoints import restore
from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.optimization import decay_patterns
from official_ext.optimization import runnable
from official_ext.tasks import protocol
from official_ext.training import attention_kernel
from official_ext.training import changed_settings
from official_ext.training import checkpoint_folder
from official_ext.training import checks
from official_ext.training import data_position
from official_ext.training import folder_lock
from official_ext.training import goodput
from official_ext.training import input_waiting
from official_ext.training import memory
from official_ext.training import memory_need
from official_ext.training import modes
from official_ext.training import new_checkpoints
from official_ext.training import new_files
from official_ext.training import new_folders
from official_ext.training import preemption
from official_ext.training import profiling
from official_ext.training import progress as progress_lib
from official_ext.training import runner as runner_lib
from official_ext.training import settings_history
from official_ext.training import start_folder
from official_ext.training import strategies
from official_ext.training import tracking
from official_ext.training import trainer as trainer_lib
from official_ext.training import training_images
from official_ext.training import worker_folder


def prepare(params: cfg.ExperimentConfig, mode: str, model_dir: str,
            profile_steps: int | None = None,
            strategy: tf.distribute.Strategy | None = None,
            allow_changes: bool = False) -> Session:
  """Prepares a run: finds what would fail later, while it is cheap.

  Waits for the other workers, if the job has several.

  Args:
    params: the experiment's configuration.
    mode: one of `modes.MODES`.
    model_dir: folder of the checkpoints and the logs.
    profile_steps: how many training steps to profile; None: no profile.
    strategy: how to distribute the run; None: as the configuration says.
    allow_changes: whether a training may go on with settings that make it
      another one.

  Returns:
    The run, to be executed once.

  Raises:
    ValueError: naming the value, what was expected and what to type instead.
  """
  stopwatch = goodput.Stopwatch()
  # Up to the strategy no TensorFlow operation may run: a strategy of several
  # workers must be built before the first one.
  task = _task(params)
  changes = changed_settings.Changes.none(params, model_dir)
  if modes.trains(mode):
    changes = changed_settings.find(
        params, model_dir, checks.latest_checkpoint(model_dir))
  if changes.refuses(allow_changes):
    print(changes.table(), file=sys.stderr)
  begins_from = checks.latest_checkpoint(model_dir)
  with new_folders.NewFolders() as folders:
    checks.check(params, task, mode, model_dir, profile_steps, folders)
    task.seed = params.trainer.seed
    task.data_description = _data_description(task, mode, model_dir)
    # Other classes make other numbers of images, and not the reverse.
    task.compare_data(modes.data_sets(mode), model_dir)
    changes.check(allow_changes)
    strategy = strategy or strategies.build(params)
    if modes.trains(mode):
      attention_kernel.check(params)
      if strategies.is_chief(strategy):
        tracking.check(params.trainer.logging, begins=not begins_from)
      runnable.check_learning_rates(
          params.trainer.optimizer_config, params.trainer.train_steps)
    task.check_batches(strategy.num_replicas_in_sync)
    memory_need.check(params, mode, strategy, task.teacher)
    task.check_records(modes.data_sets(mode), model_dir=model_dir,
                       follows_epochs=any(
                           derived.setting == 'trainer.train_steps'
                           for derived in params.trainer.derived))
    return Session(
        params, task, mode, model_dir, profile_steps, strategy, changes,
        allow_changes, stopwatch, begins_from, folders)


@dataclasses.dataclass(frozen=True)
class Session:
  """A run that is ready; `prepare` makes one, and says what its values are."""
  params: cfg.ExperimentConfig
  task: protocol.Task
  mode: str
  model_dir: str
  profile_steps: int | None
  strategy: tf.distribute.Strategy
  changes: changed_settings.Changes
  allow_changes: bool
  stopwatch: goodput.Stopwatch
  begins_from: str | None
  folders: new_folders.NewFolders

  @property
  def is_chief(self) -> bool:
    """Whether this process is the one that writes for all."""
    return strategies.is_chief(self.strategy)

  @property
  def writes(self) -> bool:
    """Whether it writes: an evaluation may be of a read-only folder."""
    return modes.trains(self.mode) or not checkpoint_folder.is_read_only(
        self.model_dir)

  def execute(self, on_best: Callable[[], None] | None = None,
              enable_async_checkpointing: bool = True) -> trainer_lib.Trainer:
    """Runs the experiment and prints its summary.

    Args:
      on_best: what the chief calls once a best checkpoint is there: see
        `Trainer`.
      enable_async_checkpointing: whether training goes on while a checkpoint is
        written.

    Returns:
      The trainer, with the metrics of the last interval and evaluation.

    Raises:
      errors.UserError: if another training runs in the folder, a checkpoint
        does not fit, a record or a file is damaged, another worker was lost, or
        the training has diverged.
      preemption.Preempted: if the process was told to end; what was trained is
        saved.
    """
    params, model_dir = self.params, self.model_dir
    with self._explained(), self.folders, self._locked():
      if modes.trains(self.mode) and self.is_chief:
        start_folder.prepare(params.trainer, model_dir)
      if isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy):
        worker_folder.check_same_checkpoint(self.strategy, model_dir)
      if modes.trains(self.mode) and self.is_chief:
        self.task.save_data_description(model_dir)
      _seed(params)
      if params.runtime.mixed_precision_dtype:
        performance.set_mixed_precision_policy(
            params.runtime.mixed_precision_dtype)
      # Libraries print too; keep a hold of the terminal.
      terminal = sys.stdout
      progress = progress_lib.Progress()
      if self.is_chief:
        progress = progress_lib.create(terminal)
        for text in (self.task.describe(), *self.changes.lines()):
          print(text, file=terminal, flush=True)
      if not self.writes:
        logging.warning('%s is read-only: nothing of the evaluation is written',
                        model_dir)
      profiler = None
      if self.profile_steps is not None:
        profiler = profiling.Profiler(
            model_dir, self.profile_steps, params.trainer.train_steps)
      try:
        with library_logs.without_prints(), worker_folder.enter(
            model_dir, params.trainer.best_checkpoint_export_subdir,
            self.is_chief) as write_dir, self._watch() as watch:
          if self.mode == 'continuous_eval' and not self.begins_from:
            self._wait_for_checkpoint(watch, terminal)
          # Model Garden's vit writes its sizes into what it is built from.
          settings = copy.deepcopy(params)
          trainer = self._build_trainer(
              write_dir, progress, watch, profiler,
              on_best if self.is_chief else None)
          self._run(trainer, settings, write_dir, watch,
                    enable_async_checkpointing)
      finally:
        progress.close()
      if profiler:
        profiler.end()
    if self.is_chief and (trainer.train_logs or trainer.validation_logs):
      print(f'\n{self._summary(trainer)}', file=terminal, flush=True)
    return trainer

  def _wait_for_checkpoint(self, watch: preemption.Watch,
                           terminal: TextIO) -> None:
    """Waits for a model, and compares with it what `prepare` could not."""
    print(f'waiting for the first checkpoint of {self.model_dir}',
          file=terminal, flush=True)
    checkpoint = new_checkpoints.wait_for_first(self.model_dir, watch)
    try:
      metadata.check_same_architecture(
          checkpoint, metadata.describe(self.params))
      metadata.check_same_preprocessing(checkpoint, self.params)
      self.task.data_description = metadata.read_data(checkpoint)
      self.task.compare_data(modes.data_sets(self.mode), self.model_dir)
    except ValueError as error:
      raise errors.UserError(str(error)) from error

  @contextlib.contextmanager
  def _watch(self) -> Iterator[preemption.Watch]:
    """Watches for what interrupts the run."""
    watch = preemption.Watch(strategies.mean_over_workers(self.strategy))
    trainer = self.params.trainer
    if not trainer.preemption_on_demand_checkpoint:
      yield watch
      return
    with preemption.signals(watch), preemption.metadata_server(
        watch, trainer.preemption_metadata_server):
      yield watch

  def _build_trainer(
      self, write_dir: str, progress: progress_lib.Progress,
      watch: preemption.Watch,
      profiler: profiling.Profiler | None,
      on_best: Callable[[], None] | None) -> trainer_lib.Trainer:
    """Builds the trainer, and with it the model and the input pipelines."""
    waiting = None
    # From the host of a TPU, a look at its variables would wait for each step;
    # and TensorFlow reads no clock where runs are to be the same.
    if not (isinstance(self.strategy, tf.distribute.TPUStrategy) or
            self.params.trainer.deterministic):
      waiting = input_waiting.InputWaiting()
    position = images = None
    if modes.trains(self.mode):
      if self.is_chief:
        images = training_images.create(self.params, self.strategy)
      position = data_position.enter(
          self.task, self.params, choose.newest(self.model_dir),
          strategies.num_workers(self.strategy))
    with self.strategy.scope():
      trainer = train_utils.create_trainer(
          self.params,
          self.task,
          train=modes.trains(self.mode),
          evaluate=modes.evaluates(self.mode),
          checkpoint_exporter=train_utils.maybe_create_best_ckpt_exporter(
              self.params, write_dir if self.writes else ''),
          trainer_cls=functools.partial(
              trainer_lib.Trainer, progress=progress, watch=watch,
              profiler=profiler, on_best=on_best, model_dir=self.model_dir,
              allow_changes=self.allow_changes, position=position,
              stopwatch=self.stopwatch, history=self._history(),
              waiting=waiting, images=images))
    if modes.trains(self.mode) and self.is_chief:
      decay_patterns.warn(
          self.params.trainer.optimizer_config.optimizer,
          [variable.name for variable in trainer.model.trainable_variables])
    checkpoint = choose.newest(self.model_dir)
    if checkpoint and metadata.read(checkpoint) is None:
      try:
        metadata.check_same_variables(checkpoint, trainer.model)
      except ValueError as error:
        raise restore.LoadError(str(error)) from error
    return trainer

  def _history(self) -> goodput.History | None:
    """Returns what notes where the time goes; None: this process does not."""
    if modes.trains(self.mode) and self.is_chief:
      return goodput.History(self.model_dir, self.stopwatch)
    return None

  def _run(self, trainer: trainer_lib.Trainer,
           settings: cfg.ExperimentConfig, write_dir: str,
           watch: preemption.Watch, enable_async_checkpointing: bool) -> None:
    """Hands over to Model Garden's runner, and keeps the settings."""
    writes = self.is_chief and modes.trains(self.mode)
    tracked = tracking.Tracking(self.params.trainer.logging if writes else None)
    runner = runner_lib.Runner(
        distribution_strategy=self.strategy,
        task=self.task,
        mode=self.mode,
        params=self.params,
        trainer=trainer,
        watch=watch,
        model_dir=self.model_dir,
        write_dir=write_dir,
        tracked=tracked,
        save_summary=self.writes,
        enable_async_checkpointing=enable_async_checkpointing)
    if writes:
      # Not before what is there was restored: settings that fail to go on with
      # it do not take the place of those that it was trained with.
      settings_history.save(
          settings, self.model_dir, int(trainer.global_step.numpy()))
    try:
      with tracked.ended():
        runner.run()
    finally:
      trainer.note_time()

  @contextlib.contextmanager
  def _locked(self) -> Iterator[None]:
    """Keeps other trainings out of the folder, and a refused one's files."""
    if not (modes.trains(self.mode) and self.is_chief):
      yield
      return
    with folder_lock.hold(self.model_dir), new_files.taken_back(
        self.model_dir, self.params.trainer,
        lambda: self.stopwatch.has_stepped):
      yield

  @contextlib.contextmanager
  def _explained(self) -> Iterator[None]:
    """Raises UserError where the cause of a failure is known."""
    try:
      yield
    except tf.errors.DataLossError as error:
      raise errors.UserError(
          self.task.find_record(error, modes.data_sets(self.mode)) or
          f'a file is damaged, most likely the checkpoint in {self.model_dir} '
          f'or a record: {errors.message(error)}') from error
    except (OSError, tf.errors.OpError) as error:
      explained = checkpoint_folder.explain(error, self.model_dir)
      if explained is None and isinstance(error, tf.errors.OpError):
        explained = self.task.explain(error)
      lost = strategies.lost_worker_message(error)
      if lost is not None:
        raise strategies.LostWorkerError(
            f'{lost}. Start all workers again with the same command: they '
            f'resume from the newest checkpoint in {self.model_dir}.'
        ) from error
      if explained is None:
        raise
      raise errors.UserError(
          self.task.find_record(error, modes.data_sets(self.mode)) or
          explained) from error

  def _summary(self, trainer: trainer_lib.Trainer) -> str:
    table = progress_lib.format_table(
        train_logs=trainer.train_logs,
        validation_logs=trainer.validation_logs,
        metrics=progress_lib.with_deciding(
            self.task.metrics(), self.params.trainer),
        throughput=trainer.throughput,
        peak_memory=memory.measure(),
        time=goodput.describe(trainer.time_totals()),
        checkpoint=choose.newest(self.model_dir),
        best=progress_lib.describe_best(self.model_dir, self.params.trainer),
        log_dir=os.path.normpath(self.model_dir))
    return '\n'.join([table, *self.task.notes(trainer.train_logs)])


def _task(params: cfg.ExperimentConfig) -> protocol.Task:
  """Builds the task of an experiment, if it is one that can be run."""
  task = task_factory.get_task(params.task)
  if not isinstance(task, protocol.Task):
    kinds = ', '.join(one.kind for one in protocol.Task.__subclasses__())
    raise ValueError(
        f'the task of this experiment is {type(params.task).__name__}, but '
        f"this program runs {kinds}. Use Model Garden's own driver for it.")
  return task


def _data_description(task: protocol.Task, mode: str,
                      model_dir: str) -> dict[str, Any]:
  """Returns what the model knows of the data that it is trained on.

  A model that is trained already keeps what it knows; what it lacks, as those
  of earlier versions do, a training completes.
  """
  checkpoint = checks.latest_checkpoint(model_dir)
  trains = modes.trains(mode)
  if checkpoint:
    known = metadata.read_data(checkpoint)
    return task.describe_data(known, trains) if trains else known
  # A training may run beside this evaluation that has no checkpoint yet.
  saved = {} if trains else task.saved_data_description(model_dir)
  return saved or task.describe_data({}, trains)


def _seed(params: cfg.ExperimentConfig) -> None:
  if params.trainer.seed is not None:
    tf_keras.utils.set_random_seed(params.trainer.seed)
  if params.trainer.deterministic:
    tf.config.experimental.enable_op_determinism()
