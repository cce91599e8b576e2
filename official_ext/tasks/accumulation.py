"""Gradient accumulation: the update of a large batch by microbatches.

Every replica goes through its batch in microbatches and updates the weights
once, with the mean of their gradients. That is the gradient of the whole batch
up to rounding, since a loss is a mean over images and no layer mixes them. A
step stays a step: schedules, intervals and input are those of the whole batch.

Legend: B images of one replica's batch, M microbatches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf

# Runs a train step on a microbatch, with what stands in for the optimizer, and
# returns the loss; the last argument is the number of the microbatch, int [].
Step = Callable[[Any, Any, tf.Tensor], tf.Tensor]


class _Collector:
  """Stands in for the optimizer of a microbatch, and keeps its gradients."""

  def apply_gradients(self, gradients_and_variables: Iterable[
      tuple[tf.Tensor | None, tf.Variable]]) -> None:
    pairs = list(gradients_and_variables)
    without = [variable.name for gradient, variable in pairs
               if gradient is None]
    if without:
      raise ValueError(
          f'the loss does not depend on {", ".join(without)}: it has no '
          'gradient to accumulate.')
    self.gradients = [tf.convert_to_tensor(gradient) for gradient, _ in pairs]


def train_step(step: Step, inputs: Any, num_microbatches: int,
               optimizer: Any, variables: Sequence[tf.Variable]) -> tf.Tensor:
  """Updates the weights once, from a batch taken in microbatches.

  Args:
    step: the train step; it updates by `apply_gradients` alone.
    inputs: nested tensors [B, ...].
    num_microbatches: M, which divides B.
    optimizer: what updates the weights.
    variables: the weights, in the order in which `step` applies gradients.

  Returns:
    The mean of the microbatches' losses, [].
  """
  # [B, ...] -> [M, B / M, ...]
  microbatches = tf.nest.map_structure(
      lambda tensor: tf.reshape(
          tensor, [num_microbatches, -1, *tensor.shape[1:]]), inputs)

  def add_microbatch(index, loss, gradients):
    collector = _Collector()
    microbatch = tf.nest.map_structure(
        lambda tensor: tensor[index], microbatches)
    loss += step(microbatch, collector, index) / num_microbatches
    return index + 1, loss, [
        total + gradient / num_microbatches
        for total, gradient in zip(
            gradients, collector.gradients, strict=True)]

  _, loss, gradients = tf.while_loop(
      lambda index, *_: index < num_microbatches, add_microbatch,
      [0, 0.0, [tf.zeros_like(variable) for variable in variables]],
      maximum_iterations=num_microbatches)
  optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))
  return loss
