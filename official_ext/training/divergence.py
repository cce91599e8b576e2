"""Notices that a training has diverged, before anything of it is saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import math
from typing import Any

from official.core import config_definitions as cfg
import tensorflow as tf
import tf_keras

from official_ext.training import event_tags
from official_ext.training import step_numbers
from official_ext.training import weight_numbers

# No training makes its weights a thousand times larger in one interval; a
# single step of a learning rate that is far too high does.
_MAX_GROWTH = 1e3
_MAX_NAMES = 3


class DivergenceError(Exception):
  """A training whose numbers are bad: nothing of it must be saved.

  Attributes:
    good_steps: the weights may be good after so many steps, not after more.
    proven_steps: a good step was taken from the weights after so many steps.
  """

  def __init__(self, reason: str, good_steps: int,
               proven_steps: int | None = None):
    super().__init__(reason)
    self.good_steps = good_steps
    self.proven_steps = good_steps if proven_steps is None else proven_steps


class Checks:
  """Checks the steps, the weights and the evaluations of a training."""

  def __init__(self, config: cfg.TrainerConfig,
               strategy: tf.distribute.Strategy, model: tf_keras.Model,
               optimizer: Any, learning_rate: Callable[[int], float]):
    """Initialises the checks; call it in the scope of the strategy.

    Args:
      config: the trainer's configuration.
      strategy: that the variables were made in.
      model: the model.
      optimizer: its optimizer; from now on it measures its gradients.
      learning_rate: tells the learning rate after so many steps.
    """
    self._config = config
    self._learning_rate = learning_rate
    self._steps = step_numbers.StepNumbers(
        optimizer, model.trainable_variables, config.loss_spike_factor)
    self._weights = weight_numbers.WeightNumbers(strategy, model, optimizer)
    self._good_steps = 0
    # Of the weights at the end of the last loop; infinite: not measured yet.
    self._norm_before = math.inf

  def record(self, loss: tf.Tensor, global_step: tf.Tensor) -> None:
    """Records the numbers of a step, on its replica: see `StepNumbers`."""
    self._steps.record(loss, global_step)

  def begin_loop(self, step: int) -> None:
    """Measures the weights that a loop of steps begins from."""
    self._good_steps = step
    if math.isinf(self._norm_before):
      self._norm_before = self._weights.norm()

  def check_steps(self) -> None:
    """Checks the steps so far.

    Raises:
      DivergenceError: if one had a loss or a gradient that is no finite number.
    """
    bad = self._steps.bad_step()
    if bad is None:
      return
    numbers = (f'the loss is {bad.loss:g}, the gradient norm '
               f'{bad.gradient_norm:g} and the learning rate '
               f'{self._learning_rate(bad.step - 1):.3g}')
    if bad.usual_loss is not None:
      cause = (f'the loss was {bad.usual_loss:g} before, and '
               f'trainer.loss_spike_factor is {self._config.loss_spike_factor}')
    elif len(bad.variables) == bad.num_variables:
      cause = ('not finite are the gradients of all '
               f'{bad.num_variables} variables')
    elif bad.variables:
      cause = f'not finite are the gradients of {_listed(bad.variables)}'
    else:
      cause = 'all gradients are finite'
    raise DivergenceError(f'at step {bad.step} {numbers}; {cause}',
                   good_steps=bad.step - 1, proven_steps=bad.step - 2)

  def check_weights(self, step: int) -> dict[str, float]:
    """Checks the weights, so that they can be saved.

    Args:
      step: how many steps they have been trained for.

    Returns:
      The norms of the last gradient and of the weights, by their event tags.

    Raises:
      DivergenceError: if they are no finite numbers, or have grown beyond
        measure.
    """
    norm, names = self._weights.measure()
    if names:
      raise DivergenceError(
          f'after step {step} not finite are {_listed(names)}',
          self._good_steps)
    # A head begins at 0, and is alone where the backbone is frozen.
    if norm > _MAX_GROWTH * max(self._norm_before, 1.0):
      raise DivergenceError(
          f'from step {self._good_steps} to {step} the norm of the weights '
          f'grew from {self._norm_before:.3g} to {norm:.3g}', self._good_steps)
    self._norm_before = norm
    return {event_tags.GRADIENT_NORM: self._steps.gradient_norm,
            event_tags.WEIGHT_NORM: norm}

  def check_loss(self, step: int, loss: float) -> None:
    """Checks the mean loss of a loop of steps, as Model Garden does.

    Args:
      step: at the end of the loop.
      loss: the mean.

    Raises:
      DivergenceError: if it is no finite number, or above the bound where
        that holds.
    """
    config = self._config
    where = f'from step {self._good_steps} to {step} the mean loss is {loss:g}'
    if not math.isfinite(loss):
      raise DivergenceError(where, self._good_steps)
    if (config.recovery_max_trials >= 0 and
        step >= config.recovery_begin_steps and
        loss > config.loss_upper_bound):
      raise DivergenceError(
          f'{where}, above trainer.loss_upper_bound='
          f'{config.loss_upper_bound:g}', self._good_steps)

  def check_evaluation(self, step: int, logs: Mapping[str, float]) -> None:
    """Checks the results of an evaluation, before they decide on anything.

    Args:
      step: of the weights.
      logs: the results.

    Raises:
      DivergenceError: if one is no finite number.
    """
    bad = [f'{name} is {value:g}' for name, value in logs.items()
           if not math.isfinite(value)]
    if bad:
      raise DivergenceError(
          f'the evaluation at step {step} is not finite: {", ".join(bad)}',
          min(self._good_steps, step - 1))

  def reset(self) -> None:
    """Forgets the steps so far: the training has gone back."""
    self._steps.reset()
    self._norm_before = math.inf


def _listed(names: Sequence[str]) -> str:
  """Lists the first few names, and how many more there are."""
  listed = ', '.join(names[:_MAX_NAMES])
  more = len(names) - _MAX_NAMES
  return f'{listed} and {more} more' if more > 0 else listed
