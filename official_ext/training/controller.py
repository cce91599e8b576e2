"""Orbit's controller, with intervals that are counted from step 0.

Orbit counts them from where a run begins: a training that is interrupted more
often than it evaluates would never evaluate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import os
from typing import Any

import orbit
import tensorflow as tf

from official_ext.training import checkpoint_folder
from official_ext.training import early_stopping
from official_ext.training import event_tags
from official_ext.training import log_folder
from official_ext.training import restarts
from official_ext.training import slow_folder
from official_ext.training import summaries
from official_ext.training import tracking


class CheckpointManager(tf.train.CheckpointManager):
  """Saves at each multiple of its interval, or at the first chance after."""

  def __init__(self, *args: Any,
               restore: Callable[[str], None] | None = None,
               folder: checkpoint_folder.CheckpointFolder | None = None,
               measure: Callable[[], contextlib.AbstractContextManager] = (
                   contextlib.nullcontext), **settings: Any):
    """Initialises the manager.

    Args:
      *args: of TensorFlow's manager.
      restore: goes on from a checkpoint, by its prefix; None: as TensorFlow.
      folder: what is asked before each save whether there is room; None: of a
        worker whose checkpoints are thrown away.
      measure: measures what runs inside it, a save.
      **settings: of TensorFlow's manager, which must have a `step_counter` and
        a `checkpoint_interval`.
    """
    super().__init__(*args, **settings)
    self._trained_step = settings['step_counter']
    self._newest_step: int | None = None
    self._restore = restore
    self._folder = folder
    self._begun: str | None = None
    self._options: tf.train.CheckpointOptions | None = None
    self._measure = measure

  def restore_or_initialize(self):
    """Restores the newest checkpoint, or begins.

    Returns:
      The prefix of the checkpoint; None if there is none.
    """
    newest = self.latest_checkpoint
    if newest is None or self._restore is None:
      newest = super().restore_or_initialize()
    else:
      self._restore(newest)
    # Workers that have a folder of their own find none there, and must save
    # when the first one does.
    self._newest_step = int(self._trained_step.numpy())
    return newest

  def save(self, checkpoint_number=None, check_interval=True, options=None):
    """Saves, as TensorFlow's manager, if it is time.

    Args:
      checkpoint_number: the step.
      check_interval: whether to save only if a multiple of the interval lies
        between the newest checkpoint and this step.
      options: of TensorFlow's manager.

    Returns:
      The prefix of the checkpoint; None if there is none to write.

    Raises:
      errors.UserError: if the folder is gone, or has no room for it.
    """
    step = int(checkpoint_number)
    if self._newest_step is None:
      self._newest_step = _step_of(self.latest_checkpoint)
    interval = self.checkpoint_interval
    if check_interval and step // interval == self._newest_step // interval:
      return None
    if step and step == self._newest_step:
      # At the end of a training whose last step is one of the interval, or of
      # one that is interrupted before it has taken a step.
      return self._begun or self.latest_checkpoint
    with self._measure(), slow_folder.told(
        self.directory, f'saving the checkpoint of step {step}'):
      return self._save(step, options)

  def _save(self, step: int,
            options: tf.train.CheckpointOptions | None) -> str | None:
    """Saves after the save before, if there is room."""
    self.sync()
    if self._folder:
      self._folder.check_space(
          checkpoint_folder.size_of(self.latest_checkpoint)
          if self.latest_checkpoint else
          checkpoint_folder.size_of_variables(self.checkpoint),
          f'the checkpoint of step {step}')
    # Not of `latest_checkpoint`, which an asynchronous save sets at its end.
    self._newest_step = step
    self._options = options
    self._begun = super().save(step, check_interval=False, options=options)
    return self._begun

  def sync(self):
    """Waits for the save that is going on, and raises what it ran into.

    TensorFlow alone would raise that in the next save, of which there is none
    at the end of a training.

    Raises:
      errors.UserError: if the folder is another than it was.
      tf.errors.OpError: if the checkpoint could not be written.
    """
    super().sync()
    if self._folder:
      self._folder.check_same()
    # What is written takes its place there as its last act.
    if self._begun and self.latest_checkpoint != self._begun:
      self.checkpoint.write(self._begun, self._options)
      super().sync()


class Controller(orbit.Controller):
  """Trains, evaluates and saves at multiples of the intervals."""

  def __init__(self, *, steps_per_loop: int,
               is_evaluated: Callable[[int], bool] = lambda step: True,
               stopping: early_stopping.EarlyStopping | None = None,
               on_stop: Callable[[int, str], None] = lambda step, reason: None,
               new_checkpoints: Callable[..., Iterator[str]] | None = None,
               on_evaluated: Callable[[summaries.SummaryManager], None] = (
                   lambda log: None),
               tracked: tracking.Tracking | None = None,
               summary_dir: str | None = None,
               eval_summary_dir: str | None = None, **settings):
    """Initialises the controller.

    Args:
      steps_per_loop: steps between two reports; a loop ends at a multiple, and
        at one of the interval of the checkpoints.
      is_evaluated: whether the evaluation of a step is on record, so that one
        that was interrupted is made up for.
      stopping: says whether to end before the last step; None: never.
      on_stop: is told at which step that was, and why.
      new_checkpoints: takes the arguments of `evaluate_continuously` and gives
        the checkpoints to evaluate; None: there are none.
      on_evaluated: is told where an evaluation that is over is logged.
      tracked: the services that get what is logged; None: there is none.
      summary_dir: folder of what is logged of the training; None: nothing is.
      eval_summary_dir: the same, of the evaluations.
      **settings: of Orbit's controller.
    """
    intervals = [steps_per_loop]
    if manager := settings.get('checkpoint_manager'):
      intervals.append(manager.checkpoint_interval)
    super().__init__(
        steps_per_loop=lambda step: min(
            interval - step % interval for interval in intervals),
        summary_dir=summary_dir, eval_summary_dir=eval_summary_dir, **settings)
    self._tracked = tracked
    self._on_evaluated = on_evaluated
    # Orbit makes them for its trainer and its evaluator, as far as given.
    if hasattr(self, 'summary_manager'):
      self.summary_manager = self._summaries(summary_dir)
    if hasattr(self, 'eval_summary_manager'):
      self.eval_summary_manager = self._summaries(eval_summary_dir)
    self._summary_dir = summary_dir
    self._eval_summary_dir = eval_summary_dir
    self._train_log = log_folder.LogFolder(summary_dir)
    self._eval_log = log_folder.LogFolder(eval_summary_dir)
    self._is_evaluated = is_evaluated
    self._stopping = stopping
    self._on_stop = on_stop
    self._new_checkpoints = new_checkpoints

  def _train_n_steps(self, num_steps: int):
    super()._train_n_steps(num_steps)
    self._train_log.check()

  def evaluate(self, steps: int = -1):
    """Evaluates as Orbit does, and looks after its log.

    Args:
      steps: batches of the evaluation; -1: all.

    Returns:
      What the evaluator returned.
    """
    output = super().evaluate(steps)
    self._on_evaluated(self.eval_summary_manager)
    self._eval_log.check()
    return output

  def train_and_evaluate(self, train_steps: int, eval_steps: int = -1,
                         eval_interval: int | None = None):
    """Trains, and evaluates at every multiple of the interval and at the end.

    Where it is stopped early, its last weights are saved as at its end.

    Args:
      train_steps: the step to end at.
      eval_steps: batches of an evaluation; -1: all.
      eval_interval: steps between two evaluations; None: one, at the end.

    Returns:
      What the last evaluation returned; None if there was none.
    """
    output = None
    eval_interval = eval_interval or train_steps
    step = int(self.global_step.numpy())
    if step and step % eval_interval == 0 and not self._is_evaluated(step):
      output = self.evaluate(steps=eval_steps)
    reason = self._stopping and self._stopping.begin(step, eval_interval)
    while step < train_steps and not reason:
      step = min(step - step % eval_interval + eval_interval, train_steps)
      self.train(steps=step, checkpoint_at_completion=step == train_steps)
      output = self.evaluate(steps=eval_steps)
      reason = self._stopping and self._stopping.add(step, output)
    if reason and step < train_steps:
      self.save_checkpoint()
      # What is exported at the end is the newest that is whole.
      self.checkpoint_manager.sync()
      self._on_stop(step, reason)
    return output

  def evaluate_continuously(self, steps: int = -1,
                            timeout: float | None = None,
                            timeout_fn: Callable[[], bool] | None = None):
    """Evaluates the checkpoints that a training writes beside.

    Args:
      steps: batches of an evaluation; -1: all.
      timeout: seconds to wait for a new one; None: for ever.
      timeout_fn: whether to end then; None: yes.

    Returns:
      What the last evaluation returned; None if there was none.
    """
    output = None
    for checkpoint in self._new_checkpoints(timeout, timeout_fn):
      try:
        with self.strategy.scope():
          self.evaluator.checkpoint.restore(checkpoint)
      except tf.errors.NotFoundError:
        # Deleted by the training since it was chosen: a newer one is there.
        continue
      output = self.evaluate(steps)
    return output

  def go_back(self, checkpoint_manager: CheckpointManager) -> None:
    """Goes on from a checkpoint that the training has gone back to.

    Args:
      checkpoint_manager: of the checkpoints until there; the one before would
        not save a step again.
    """
    self.checkpoint_manager = checkpoint_manager
    self.summary_manager = self._taken_back(
        self.summary_manager, self._summary_dir)
    self.eval_summary_manager = self._taken_back(
        self.eval_summary_manager, self._eval_summary_dir)

  def close(self) -> None:
    """Closes what is logged to; the last thing to do."""
    for name in ('summary_manager', 'eval_summary_manager'):
      # Orbit makes them for its trainer and its evaluator, as far as given.
      if log := getattr(self, name, None):
        log.close()

  def _taken_back(self, log: orbit.utils.SummaryManager,
                  folder: str | None) -> orbit.utils.SummaryManager:
    """Takes back what was logged of later steps; returns what logs them."""
    if folder is None or not tf.io.gfile.glob(
        os.path.join(folder, f'{event_tags.PREFIX}*')):
      return log
    log.summary_writer().close()
    restarts.take_back(folder, int(self.global_step.numpy()))
    return self._summaries(folder)

  def _summaries(self, folder: str | None) -> summaries.SummaryManager:
    return summaries.SummaryManager(
        folder, global_step=self.global_step, tracked=self._tracked)


def _step_of(checkpoint: str | None) -> int:
  """Returns the step in the name of a checkpoint, such as 'ckpt-100'."""
  return int(checkpoint.rsplit('-', maxsplit=1)[1]) if checkpoint else 0
