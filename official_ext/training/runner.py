"""Model Garden's experiment runner, without what it does at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from official.core import train_lib
import tf_keras

from official_ext.training import modes
from official_ext.training import progress as progress_lib


class Runner(train_lib.OrbitExperimentRunner):
  """Runs an experiment; of a training that is done it only evaluates."""

  def __init__(self, *args: Any, progress: progress_lib.Progress,
               **kwargs: Any):
    """Initialises the runner.

    Args:
      *args: of Model Garden's runner.
      progress: what to tell that the training is done already.
      **kwargs: of Model Garden's runner.
    """
    super().__init__(*args, **kwargs)
    self._progress = progress

  def run(self) -> tuple[tf_keras.Model, Mapping[str, Any]]:
    """Drives the controller as Model Garden's runner does.

    Model Garden's own `run` cannot be called: at its end it freezes the whole
    model into a graph to count its FLOPs, which takes memory and time that the
    largest models do not have.

    Returns:
      The model, and no metrics: the trainer has them.
    """
    with self.strategy.scope():
      self._run()
    return self.trainer.model, {}

  def _run(self) -> None:
    mode = self._mode
    trainer = self.params.trainer
    step = int(self.trainer.global_step.numpy())
    if modes.trains(mode) and step >= trainer.train_steps:
      self._progress.interval(step, (
          f'the model_dir is trained already, to {trainer.train_steps} steps. '
          'Raise trainer.train_epochs or train_steps to go on, or choose '
          'another --model_dir'))
      if mode == 'train':
        return
      mode = 'eval'
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
          timeout_fn=lambda: (
              self.trainer.global_step.numpy() >= trainer.train_steps))
