"""Measures the weights of a training, and whether they are finite numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras


class WeightNumbers:
  """Measures the variables of a model and of its optimizer."""

  def __init__(self, strategy: tf.distribute.Strategy, model: tf_keras.Model,
               optimizer: Any):
    """Initialises the measurement.

    Args:
      strategy: that the variables were made in.
      model: the model.
      optimizer: its optimizer, of the former or the present Keras interface.
    """
    self._strategy = strategy
    self._model = model
    self._optimizer = optimizer
    self._saved: Sequence[tf.Variable] = ()
    # Places of the trainable variables among those.
    self._trained: Sequence[int] = ()
    self._measure_saved: Callable[[], np.ndarray] | None = None

  def norm(self) -> float:
    """Returns the norm of all trainable variables together."""
    return _norm(_measurement(
        self._strategy, self._model.trainable_variables)())

  def measure(self) -> tuple[float, Sequence[str]]:
    """Measures everything that a checkpoint holds, in one pass.

    Returns:
      The norm of all trainable variables together, and the names of the
      variables of the model and of the optimizer whose norm is no finite
      number.
    """
    if self._measure_saved is None:
      # An optimizer makes its variables in the first step.
      self._saved = _floating(
          [*self._model.variables, *_variables(self._optimizer)])
      places = {one.ref(): place for place, one in enumerate(self._saved)}
      self._trained = [
          places[one.ref()] for one in self._model.trainable_variables]
      self._measure_saved = _measurement(self._strategy, self._saved)
    half_squares = self._measure_saved()
    return _norm(half_squares[self._trained]), [
        variable.name for variable, value in zip(self._saved, half_squares)
        if not math.isfinite(value)]


def _norm(half_squares: np.ndarray) -> float:
  return math.sqrt(2 * float(half_squares.sum()))


def _measurement(strategy: tf.distribute.Strategy,
                 variables: Sequence[tf.Variable]
                 ) -> Callable[[], np.ndarray]:
  """Returns a function that returns half the squared norm of every variable."""

  @tf.function
  def half_squares():
    return strategy.run(lambda: tf.stack([
        tf.nn.l2_loss(tf.cast(variable, tf.float32))
        for variable in variables]))

  return lambda: strategy.experimental_local_results(half_squares())[0].numpy()


def _variables(optimizer: Any) -> Sequence[tf.Variable]:
  if isinstance(optimizer, tf_keras.optimizers.legacy.Optimizer):
    # An average has its own variables beside those of what it averages.
    return [*optimizer.variables(), *optimizer.weights]
  return optimizer.variables


def _floating(variables: Sequence[tf.Variable]) -> Sequence[tf.Variable]:
  """Returns the variables of floating point, each once."""
  return list({variable.ref(): variable for variable in variables
               if variable.dtype.is_floating}.values())
