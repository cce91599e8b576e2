"""Gradients written by hand, without what TensorFlow's own way leaves behind.

Legend: A, B, C sides of matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# `tf.matmul`, or `matmul_in_float32`.
Matmul = Callable[..., tf.Tensor]


def with_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
  """Gives a function its gradient, except where Keras infers shapes.

  `tf.custom_gradient`, but not in the graph that Keras infers shapes with:
  TensorFlow keeps a graph with a custom gradient, and the variables in it, for
  as long as the process lives. That one is never differentiated.

  Args:
    function: returns its result and what gives the gradients.

  Returns:
    A function that returns the result alone.
  """
  differentiable = tf.custom_gradient(function)

  def call(*arguments):
    if is_inferring_shapes():
      return function(*arguments)[0]
    return differentiable(*arguments)

  return call


def is_inferring_shapes() -> bool:
  """Returns whether Keras calls layers to connect them, not to compute."""
  graph = tf.compat.v1.get_default_graph()
  # The names of the graphs that Keras makes and throws away for this; eager
  # execution has a graph without a name.
  return getattr(graph, 'name', '').endswith(('keras_graph', '_scratch_graph'))


def zero_after(upstream: tf.Tensor) -> tf.Tensor:
  """Returns a float32 zero, [], that is known only once `upstream` is.

  Without it a compiler finds that forward and backward pass compute the same,
  computes it once and saves it. It is NaN where `upstream` begins with NaN.

  Args:
    upstream: a gradient of any shape.
  """
  first = tf.cast(tf.reshape(upstream, [-1])[:1], tf.float32)
  return tf.minimum(tf.reduce_sum(tf.abs(first)), 0)


def matmul_in_float32(left: tf.Tensor, right: tf.Tensor,
                      transpose_a: bool = False,
                      transpose_b: bool = False) -> tf.Tensor:
  """Computes a matrix product in float32 and rounds it.

  That is what a product of bfloat16 values is in hardware too: only the order
  of the sums differs. Saves the operands as they come, not in float32.

  Args:
    left: [..., A, B], or [..., B, A] with `transpose_a`.
    right: [..., B, C], or [..., C, B] with `transpose_b`.
    transpose_a: whether to transpose `left`.
    transpose_b: whether to transpose `right`.

  Returns:
    [..., A, C], of the type of `left`.
  """

  def product(first, second, transpose_a=False, transpose_b=False):
    return tf.cast(
        tf.matmul(tf.cast(first, tf.float32), tf.cast(second, tf.float32),
                  transpose_a=transpose_a, transpose_b=transpose_b),
        left.dtype)

  @with_gradient
  def apply(left, right):

    def gradient(upstream):
      if transpose_a:
        left_gradient = product(right, upstream, transpose_b, True)
      else:
        left_gradient = product(upstream, right, False, not transpose_b)
      if transpose_b:
        right_gradient = product(upstream, left, True, transpose_a)
      else:
        right_gradient = product(left, upstream, not transpose_a, False)
      return left_gradient, right_gradient

    return product(left, right, transpose_a, transpose_b), gradient

  return apply(left, right)
