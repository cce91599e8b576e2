"""Watches the numbers of every step, on the device that computes them.

A loss or a gradient that is no finite number is kept with its step until the
host asks, which it does about once a second: no step waits for it. It costs one
pass over the gradients, and no communication but that of the loss.

Legend: V trainable variables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import math
from typing import Any

from official.modeling import optimization
import tensorflow as tf
import tf_keras

from official_ext.configs import image_classification

_NONE = -1
# A loss scale halves at each step whose gradient overflows. From the largest
# float32 that takes 127 steps to 1; so many in a row are no search any more.
_MAX_OVERFLOWS = 50

_Pairs = Sequence[tuple[tf.Tensor, tf.Variable]]


@dataclasses.dataclass(frozen=True)
class BadStep:
  """The first step whose numbers are bad.

  Attributes:
    step: counted from 1.
    loss: of its batch, over all replicas.
    usual_loss: the running mean before it, if that is why it is bad.
    gradient_norm: of the whole gradient.
    variables: names of those whose gradient is no finite number.
    num_variables: V.
  """
  step: int
  loss: float
  usual_loss: float | None
  gradient_norm: float
  variables: Sequence[str]
  num_variables: int


class StepNumbers:
  """Measures the gradients of an optimizer, and keeps the first bad step.

  The gradients are those that the optimizer applies: summed over the replicas,
  not scaled for float16, and before `clipnorm`, `clipvalue` and
  `global_clipnorm`; AdamW's own `gradient_clip_norm` comes before.
  """

  def __init__(self, optimizer: Any, variables: Sequence[tf.Variable],
               loss_spike_factor: float | None = None):
    """Initialises the record; call it in the scope of the strategy.

    Args:
      optimizer: what updates the weights; from now on it measures.
      variables: the trainable variables, V.
      loss_spike_factor: a loss of more than so many times the running mean is
        bad; None: any finite loss is good.
    """
    self._optimizer = optimizer
    self._names = [variable.name for variable in variables]
    self._places = {
        variable.ref(): place for place, variable in enumerate(variables)}
    self._loss_spike_factor = loss_spike_factor
    # Half the squared norms, of the last step and of the bad one.
    self._half_squares = _record([0.0] * len(self._names))
    self._bad_half_squares = _record([0.0] * len(self._names))
    self._bad_step = _record(_NONE, tf.int64)
    self._bad_loss = _record(0.0)
    self._bad_usual_loss = _record(0.0)
    self._has_dynamic_scale = isinstance(
        optimizer, tf_keras.mixed_precision.LossScaleOptimizer
    ) and optimizer.dynamic
    self._is_lowest_scale = _record(False, tf.bool)
    self._overflows = _record(0, tf.int64)
    self._usual_loss = _record(0.0)
    self._num_losses = _record(0, tf.int64)
    aggregates = _innermost(optimizer)
    # Both are meant to be replaced: that of the former Keras interface is an
    # argument of the constructor, the other one documented to be overridden.
    name = ('gradient_aggregator' if hasattr(aggregates, 'gradient_aggregator')
            else 'aggregate_gradients')
    setattr(aggregates, name, self._measured(getattr(aggregates, name)))

  def _measured(self, aggregate: Callable[[_Pairs], _Pairs]
                ) -> Callable[[_Pairs], _Pairs]:
    """Returns the aggregation of gradients, with the measurement after it."""

    def aggregate_and_measure(pairs: _Pairs) -> _Pairs:
      pairs = list(aggregate(pairs))
      half_squares = [tf.constant(0.0)] * len(self._names)
      for gradient, variable in pairs:
        if gradient is not None and variable.ref() in self._places:
          half_squares[self._places[variable.ref()]] = tf.nn.l2_loss(
              tf.cast(tf.convert_to_tensor(gradient), tf.float32))
      self._half_squares.assign(tf.stack(half_squares))
      if self._has_dynamic_scale:
        # Before the update, which halves it.
        self._is_lowest_scale.assign(self._optimizer.loss_scale <= 1)
      return pairs

    return aggregate_and_measure

  def record(self, loss: tf.Tensor, global_step: tf.Tensor) -> None:
    """Records the numbers of a step; call it on each replica, after the update.

    Args:
      loss: of this replica's batch, [].
      global_step: how many steps came before, [].
    """
    loss = tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.MEAN, tf.cast(loss, tf.float32))
    half_squares = tf.convert_to_tensor(self._half_squares)
    has_overflown = tf.logical_not(
        tf.math.is_finite(tf.reduce_sum(half_squares)))
    overflows = tf.where(has_overflown, self._overflows + 1, 0)
    self._overflows.assign(overflows)
    is_bad = tf.logical_or(
        tf.logical_not(tf.math.is_finite(loss)),
        tf.logical_and(has_overflown, self._is_an_error(overflows)))
    if self._loss_spike_factor is not None:
      is_bad = tf.logical_or(is_bad, self._is_spike(loss))
    is_first = tf.logical_and(is_bad, self._bad_step < 0)
    for variable, value in (
        (self._bad_half_squares, half_squares), (self._bad_loss, loss),
        (self._bad_usual_loss, tf.convert_to_tensor(self._usual_loss)),
        (self._bad_step, tf.cast(global_step, tf.int64) + 1)):
      variable.assign(tf.where(is_first, value, variable))
    if self._loss_spike_factor is not None:
      self._add_to_usual_loss(loss)

  def _is_an_error(self, overflows: tf.Tensor) -> tf.Tensor:
    """Returns whether a gradient that overflows is not the loss scale's doing.

    Where the loss scale is dynamic, such a step is left out and the scale
    halved, which is how a scale is found.
    """
    if not self._has_dynamic_scale:
      return tf.constant(True)
    return tf.logical_or(
        tf.convert_to_tensor(self._is_lowest_scale),
        overflows >= _MAX_OVERFLOWS)

  def _is_spike(self, loss: tf.Tensor) -> tf.Tensor:
    return tf.logical_and(
        self._num_losses >= image_classification.USUAL_LOSS_STEPS,
        loss > self._loss_spike_factor * self._usual_loss)

  def _add_to_usual_loss(self, loss: tf.Tensor) -> None:
    """Takes a loss into the running mean: at first that of all so far."""
    self._num_losses.assign_add(1)
    share = 1 / tf.cast(
        tf.minimum(self._num_losses, image_classification.USUAL_LOSS_STEPS),
        tf.float32)
    self._usual_loss.assign((1 - share) * self._usual_loss + share * loss)

  @property
  def gradient_norm(self) -> float:
    """The norm of the gradient of the last step."""
    return _norm(self._half_squares)

  def bad_step(self) -> BadStep | None:
    """Returns the first bad step since `reset`; None if all were good."""
    step = int(tf.convert_to_tensor(self._bad_step))
    if step == _NONE:
      return None
    loss = float(tf.convert_to_tensor(self._bad_loss))
    half_squares = tf.convert_to_tensor(self._bad_half_squares).numpy()
    variables = [name for name, value in zip(self._names, half_squares)
                 if not math.isfinite(value)]
    is_spike = math.isfinite(loss) and not variables
    usual_loss = float(tf.convert_to_tensor(self._bad_usual_loss))
    return BadStep(
        step, loss, usual_loss if is_spike else None,
        _norm(self._bad_half_squares), variables, len(self._names))

  def reset(self) -> None:
    """Forgets all steps."""
    self._bad_step.assign(_NONE)
    for variable in (self._overflows, self._num_losses):
      variable.assign(0)
    self._usual_loss.assign(0)


def _record(value: Any, dtype: tf.DType = tf.float32) -> tf.Variable:
  # Each replica writes its own, without waiting; all hold the same.
  return tf.Variable(
      value, dtype=dtype, trainable=False,
      synchronization=tf.VariableSynchronization.ON_READ,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)


def _innermost(optimizer: Any) -> Any:
  """Returns the optimizer that sums gradients over the replicas."""
  if isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer):
    return _innermost(optimizer.inner_optimizer)
  if isinstance(optimizer, optimization.ExponentialMovingAverage):
    return _innermost(optimizer._optimizer)  # pylint: disable=protected-access
  return optimizer


def _norm(half_squares: tf.Variable) -> float:
  return math.sqrt(2 * float(tf.reduce_sum(
      tf.convert_to_tensor(half_squares))))
