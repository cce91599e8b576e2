"""Model Garden's runner, which can be interrupted and loses nothing by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import functools
import os
from typing import Any

from official.core import config_definitions as cfg
from official.core import train_lib
import tf_keras

from official_ext.checkpoints import choose
from official_ext.checkpoints import integrity
from official_ext.checkpoints import tidy
from official_ext.command_line import errors
from official_ext.training import checkpoint_folder
from official_ext.training import controller as controller_lib
from official_ext.training import divergence
from official_ext.training import early_stopping
from official_ext.training import evaluations
from official_ext.training import goodput
from official_ext.training import modes
from official_ext.training import new_checkpoints
from official_ext.training import preemption
from official_ext.training import recovery
from official_ext.training import restarts
from official_ext.training import summaries
from official_ext.training import trackers
from official_ext.training import tracking
from official_ext.training import trainer as trainer_lib
from official_ext.training import training_images

# Where Model Garden's runner logs the training.
_TRAIN_SUBDIR = 'train'


class Runner(train_lib.OrbitExperimentRunner):
  """Runs an experiment; of a training that is done it only evaluates."""

  def __init__(self, *, params: cfg.ExperimentConfig,
               trainer: trainer_lib.Trainer, watch: preemption.Watch,
               model_dir: str, write_dir: str,
               tracked: tracking.Tracking | None = None, **settings: Any):
    """Initialises the runner, which restores the newest checkpoint.

    Args:
      params: the experiment's configuration.
      trainer: the trainer.
      watch: knows what interrupted the run.
      model_dir: folder of the training.
      write_dir: the folder that this worker writes to.
      tracked: the services that the training is logged to; None: there is
        none.
      **settings: of Model Garden's runner.
    """
    self._watch = watch
    self._tracked = tracked or tracking.Tracking()
    self._history_dir = model_dir
    self._configuration = params
    self._went_back_to: str | None = None
    validation_dir = os.path.join(
        model_dir, params.trainer.validation_summary_subdir)
    super().__init__(
        params=params.replace(trainer=params.trainer.replace(
            # This project's own take their places.
            preemption_on_demand_checkpoint=False, recovery_max_trials=-1)),
        trainer=trainer,
        model_dir=write_dir,
        controller_cls=functools.partial(
            controller_lib.Controller,
            is_evaluated=lambda step: step in evaluations.steps(
                validation_dir),
            stopping=early_stopping.EarlyStopping(
                params.trainer.early_stopping, validation_dir),
            on_stop=trainer.stop_early,
            on_evaluated=self._write_confusion,
            tracked=self._tracked,
            new_checkpoints=functools.partial(
                new_checkpoints.watch, model_dir, watch)),
        **settings)
    if not modes.trains(self._mode):
      with self.strategy.scope():
        trainer.initialize()
    else:
      step = int(trainer.global_step.numpy())
      restarts.take_back(os.path.join(write_dir, _TRAIN_SUBDIR), step)
      if modes.evaluates(self._mode):
        # A training that is done is evaluated anew.
        restarts.take_back(
            os.path.join(write_dir, params.trainer.validation_summary_subdir),
            step - (step >= params.trainer.train_steps))

  def _maybe_build_checkpoint_manager(
      self) -> controller_lib.CheckpointManager | None:
    if not modes.trains(self._mode):
      # It would believe TensorFlow's note of the newest checkpoint.
      return None
    trainer = self.params.trainer
    folder = None
    if self.model_dir == self._history_dir:
      folder = checkpoint_folder.CheckpointFolder(self.model_dir)
      folder.check_space(
          checkpoint_folder.size_of_variables(self.trainer.checkpoint),
          'a checkpoint')
    return controller_lib.CheckpointManager(
        self.trainer.checkpoint,
        directory=self.model_dir,
        max_to_keep=trainer.max_to_keep,
        keep_checkpoint_every_n_hours=trainer.keep_checkpoint_every_n_hours,
        folder=folder,
        step_counter=self.trainer.global_step,
        checkpoint_interval=trainer.checkpoint_interval,
        init_fn=self.trainer.initialize,
        restore=self.trainer.restore,
        measure=functools.partial(
            self.trainer.stopwatch.measure, goodput.CHECKPOINTS))

  def run(self) -> tuple[tf_keras.Model, Mapping[str, Any]]:
    """Drives the controller as Model Garden's runner does.

    Model Garden's own `run` cannot be called: at its end it freezes the whole
    model into a graph to count its FLOPs, which takes memory and time that the
    largest models do not have.

    Returns:
      The model, and no metrics: the trainer has them.

    Raises:
      preemption.Preempted: if the run was interrupted; a training has written
        a checkpoint.
      errors.UserError: if the training has diverged, and may not go back to an
        earlier checkpoint any more.
    """
    try:
      with self.strategy.scope():
        while True:
          try:
            self._run_to_its_end()
          except divergence.DivergenceError as diverged:
            self._go_back(diverged)
          else:
            return self.trainer.model, {}
    finally:
      # What is still held by a graph would keep its files open.
      self.controller.close()

  def _run_to_its_end(self) -> None:
    try:
      self._run()
      if modes.trains(self._mode):
        # A notice that came after the last step: the machine has no time left
        # for the export.
        self._watch.check()
    except preemption.Interrupt:
      raise self._preempted() from None

  def _go_back(self, diverged: divergence.DivergenceError) -> None:
    """Goes back to a good checkpoint, and on with the batches that follow."""
    if not modes.trains(self._mode):
      raise errors.UserError(
          f'{diverged}. Its weights or its images are bad: nothing is '
          'written.') from diverged
    trainer, recovered = self.trainer, self.trainer.recovered
    count, max_trials = (
        recovered.count, self._configuration.trainer.recovery_max_trials)
    checkpoints = self._checkpoints()
    checkpoint = recovery.newest_until(checkpoints, diverged.good_steps)
    if checkpoint and checkpoint == self._went_back_to:
      # Its first step may fail by its own doing, not by the batch.
      checkpoint = recovery.newest_until(checkpoints, diverged.proven_steps)
    if not checkpoint or count >= max_trials:
      raise errors.UserError(recovery.message(
          self._configuration, diverged, checkpoints, count)) from diverged
    self._went_back_to = checkpoint
    num_read = int(trainer.global_step.numpy()) + recovered.skipped_batches
    trainer.restore(checkpoint)
    step = int(trainer.global_step.numpy())
    tidy.go_back(self.model_dir, step,
                 self.params.trainer.keep_checkpoint_every_n_hours)
    self._checkpoint_manager = self._maybe_build_checkpoint_manager()
    self.controller.go_back(self._checkpoint_manager)
    recovered.add(count + 1, num_read - step)
    trainer.forget()
    trainer.progress.interval(step, (
        f'went back to {checkpoint}, which is recovery {count + 1} of '
        f'{max_trials}: {diverged}. The batches since are skipped'))

  def _checkpoints(self) -> Sequence[str]:
    """Returns the prefixes of the whole checkpoints that are there."""
    self.checkpoint_manager.sync()
    # Of several workers all but the first write elsewhere, and have nothing
    # there before their first checkpoint.
    prefixes = [*self.checkpoint_manager.checkpoints,
                *(one.prefix for one in choose.saved(self._history_dir))]
    return [prefix for prefix in prefixes if integrity.damage(prefix) is None]

  def _run(self) -> None:
    mode = self._mode
    trainer = self.params.trainer
    step = int(self.trainer.global_step.numpy())
    if modes.trains(mode) and step >= trainer.train_steps:
      self.trainer.progress.interval(step, (
          f'the model_dir is trained already, to {trainer.train_steps} steps. '
          'Raise trainer.train_epochs or train_steps to go on, or choose '
          'another --model_dir'))
      if mode == 'train':
        return
      mode = 'eval'
    if modes.trains(mode):
      self._begin_log(step)
    if mode == 'train':
      self.controller.train(steps=trainer.train_steps)
    elif mode == 'train_and_eval':
      self.controller.train_and_evaluate(
          train_steps=trainer.train_steps,
          eval_steps=trainer.validation_steps,
          eval_interval=trainer.validation_interval)
    elif mode == 'eval':
      self.controller.evaluate(steps=trainer.validation_steps)
    else:
      self.controller.evaluate_continuously(
          steps=trainer.validation_steps,
          timeout=trainer.continuous_eval_timeout,
          timeout_fn=self._is_evaluated_to_its_end)

  def _is_evaluated_to_its_end(self) -> bool:
    """Says whether the training beside has no checkpoint to come."""
    end = goodput.stopped_early_at(self._history_dir)
    if end is None:
      end = self.params.trainer.train_steps
    return int(self.trainer.global_step.numpy()) >= end

  def _begin_log(self, step: int) -> None:
    """Logs the settings of a training that begins or goes on at a step."""
    log = self.controller.summary_manager
    self._tracked.expect(
        trackers.Training(
            self._history_dir, self._configuration.as_dict(),
            summaries.hyperparameters_of(self._configuration), step),
        lambda line: self.trainer.progress.interval(log.step, line))
    summaries.write_configuration(self._configuration, log, step)
    images, task = self.trainer.images, self.trainer.task
    if images:
      images.write = lambda batch: log.write_image(
          training_images.TAG, training_images.picture(batch, task))

  def _write_confusion(self, log: summaries.SummaryManager) -> None:
    # Workers add their counts up as they are read, so all must.
    for counts in self.trainer.confusion:
      summaries.write_confusion(
          counts.result().numpy(), self.trainer.task.class_names(), log)

  def _preempted(self) -> preemption.Preempted:
    """Saves what is trained; returns what to raise."""
    notice = self._watch.notice
    step = int(self.trainer.global_step.numpy())
    where = f'stopped by {notice.source}'
    if not modes.trains(self._mode):
      return preemption.Preempted(
          f'{where}: the evaluation is given up.', notice.exit_status)
    if not step:
      return preemption.Preempted(
          f'{where} before the first step: nothing is lost. The same command '
          'begins again.', notice.exit_status)
    self.trainer.numbers.check_weights(step)
    self.controller.save_checkpoint()
    self.checkpoint_manager.sync()
    # Of several workers all but the first save elsewhere, or nothing.
    checkpoint = os.path.join(self._history_dir, f'ckpt-{step}')
    return preemption.Preempted(
        f'{where} at step {step} of {self.params.trainer.train_steps}; '
        f'{checkpoint} holds it. The same command goes on from there.',
        notice.exit_status)
