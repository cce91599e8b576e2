"""Model Garden's moving average of the weights, evaluated without a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from official.modeling import optimization
import tensorflow as tf
import tf_keras


class ExponentialMovingAverage(optimization.ExponentialMovingAverage):
  """Exchanges weights and averages bit by bit.

  Model Garden exchanges them by sums and differences, which round: a training
  then ends in other weights if it is evaluated more often.
  """

  @tf.function
  def swap_weights(self):
    """Exchanges the weights of the model and their averages.

    Takes the memory of the largest weight. To be called across replicas.
    """
    strategy = tf.distribute.get_strategy()
    for average, weight in zip(
        self._average_weights, self._model_weights, strict=True):
      strategy.extended.update(
          average, _exchange, args=(weight,), group=False)


def _exchange(one: tf.Variable, other: tf.Variable) -> None:
  value = tf.identity(one)
  one.assign(other)
  other.assign(value)


def create(garden: Callable[..., tf_keras.optimizers.Optimizer],
           optimizer_config: optimization.OptimizationConfig,
           runtime_config: Any = None, dp_config: Any = None
           ) -> tf_keras.optimizers.Optimizer:
  """Creates an optimizer whose averages, if there are any, are these.

  Args:
    garden: creates Model Garden's, from the other arguments.
    optimizer_config: the optimizer and its schedule.
    runtime_config: says whether the loss is scaled.
    dp_config: of differential privacy.

  Returns:
    The optimizer.
  """
  average = optimizer_config.ema
  if average is None:
    return garden(optimizer_config, runtime_config, dp_config)
  return ExponentialMovingAverage(
      garden(optimizer_config.replace(ema=None), runtime_config, dp_config),
      **average.as_dict())
