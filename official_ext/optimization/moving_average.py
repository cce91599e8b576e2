"""Model Garden's moving average of the weights, evaluated without a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from official.modeling import optimization
from official.modeling.optimization import ema_optimizer
import tensorflow as tf
import tf_keras

from official_ext.optimization import layerwise


class ExponentialMovingAverage(optimization.ExponentialMovingAverage):
  """Exchanges weights and averages bit by bit.

  Model Garden exchanges them by sums and differences, which round: a training
  then ends in other weights if it is evaluated more often.

  While a backbone is frozen, the averages of its weights are these: Model
  Garden's begin at 0.
  """

  def __init__(self, *args: Any, **settings: Any):
    super().__init__(*args, **settings)
    self._frozen_steps = 0
    # (average, weight) of what is frozen.
    self._frozen: list[tuple[tf.Variable, tf.Variable]] = []

  @property
  def averaged(self) -> tf_keras.optimizers.Optimizer:
    """The optimizer whose weights are averaged."""
    return self._optimizer

  def freeze(self, names: Iterable[str], num_steps: int) -> None:
    """Learns which weights are frozen at first.

    Args:
      names: of the weights.
      num_steps: for how many steps.
    """
    self._frozen_steps = num_steps
    frozen = set(map(layerwise.without_replica, names))
    self._frozen = [
        (average, weight) for average, weight in zip(
            self._average_weights, self._model_weights, strict=True)
        if layerwise.without_replica(weight.name) in frozen]

  def apply_gradients(self, grads_and_vars, name=None):
    result = super().apply_gradients(grads_and_vars, name)
    if self._frozen_steps:
      ema_optimizer.maybe_merge_call(
          self._keep_frozen, tf.distribute.get_strategy())
    return result

  @tf.function
  def _keep_frozen(self, strategy):
    # The step is counted already.
    is_frozen = self.iterations <= self._frozen_steps
    for average, weight in self._frozen:
      strategy.extended.update(
          average, _assign_if, args=(weight, is_frozen), group=False)

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


def _assign_if(one: tf.Variable, other: tf.Variable,
               condition: tf.Tensor) -> None:
  one.assign(tf.where(condition, other, one))


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
