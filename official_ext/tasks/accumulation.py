"""Gradient accumulation: the update of a large batch, part by part.

Every replica goes through its batch in parts and updates the weights once,
with the mean of the parts' gradients. That is the gradient of the whole batch
up to rounding, since a loss is a mean over images and no layer mixes them. A
step stays a step: schedules, intervals and input are those of the whole batch.

Legend: B images of one replica's batch, P parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

# Runs a train step on a part, with what stands in for the optimizer, and
# returns the loss.
Step = Callable[[Any, Any], tf.Tensor]


class _Collector:
  """Stands in for the optimizer of a part, and keeps its gradients."""

  def apply_gradients(self, gradients_and_variables: Iterable[
      tuple[tf.Tensor | None, tf.Variable]]) -> None:
    pairs = list(gradients_and_variables)
    without = [variable.name for gradient, variable in pairs
               if gradient is None]
    if without:
      raise ValueError(
          f'the loss does not depend on {", ".join(without)}: it has no '
          'gradient to accumulate.')
    self.gradients = [
        tf.convert_to_tensor(gradient)
        for gradient, _ in pairs]


def train_step(step: Step, inputs: Any, num_parts: int, optimizer: Any,
               variables: Sequence[tf.Variable]) -> tf.Tensor:
  """Updates the weights once, from a batch taken in parts.

  Args:
    step: the train step; it updates by `apply_gradients` alone.
    inputs: nested tensors [B, ...].
    num_parts: P, which divides B.
    optimizer: what updates the weights.
    variables: the weights, in the order in which `step` applies gradients.

  Returns:
    The mean of the parts' losses, [].
  """
  # [B, ...] -> [P, B / P, ...]
  parts = tf.nest.map_structure(
      lambda tensor: tf.reshape(
          tensor, [num_parts, -1, *tensor.shape[1:]]), inputs)

  def add_part(index, loss, gradients):
    collector = _Collector()
    part = tf.nest.map_structure(lambda tensor: tensor[index], parts)
    loss += step(part, collector) / num_parts
    return index + 1, loss, [
        total + gradient / num_parts
        for total, gradient in zip(
            gradients, collector.gradients, strict=True)]

  _, loss, gradients = tf.while_loop(
      lambda index, *_: index < num_parts, add_part,
      [0, 0.0, [tf.zeros_like(variable) for variable in variables]],
      maximum_iterations=num_parts)
  optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))
  return loss
