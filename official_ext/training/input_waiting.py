"""How long steps wait for their input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class InputWaiting:
  """Adds up the time in which a step could run but for its batch.

  It is measured inside the loop of steps, which Python does not see: from when
  the step before is over until the batch is there. A batch that comes while the
  step before still computes is not waited for. An accelerator computes behind
  the back of the host, which may wait meanwhile: there it is an upper bound.
  """

  def __init__(self):
    """Initialises the sum; not in the scope of a strategy."""
    with tf.device('CPU:0'):
      self._seconds = tf.Variable(0.0, trainable=False, dtype=tf.float64)
    self._last = 0.0

  def take(self, next_inputs: Callable[[], Any],
           iterations: tf.Variable) -> Any:
    """Takes the batch of a step.

    Args:
      next_inputs: returns the batch.
      iterations: what every step counts up at its end.

    Returns:
      The batch.
    """
    with tf.control_dependencies([tf.convert_to_tensor(iterations)]):
      is_ready = tf.timestamp()
    inputs = next_inputs()
    with tf.control_dependencies(
        tf.nest.flatten(inputs, expand_composites=True)):
      has_come = tf.timestamp()
    self._seconds.assign_add(tf.maximum(has_come - is_ready, 0))
    return inputs

  def since_last(self) -> float:
    """Returns the seconds since it was called last."""
    before, self._last = self._last, float(self._seconds.numpy())
    return self._last - before
