"""Parts of a transformer layer that keep less for the backward pass.

Each is what Model Garden's layer computes, in fewer operations and with a
gradient written by hand. What costs little to compute again (a LayerNorm's
output, a GELU) is computed again in the backward pass rather than kept, as in
selective activation recomputation (arXiv 2205.05198). No weights live here.

Legend: B batch, T query tokens, S key tokens, D hidden size, M any width, N
heads, H head size, R = B * T rows.

`multiply` is `tf.matmul` or `multiply_in_float32`.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import Any

import tensorflow as tf

Multiply = Callable[..., tf.Tensor]

# GELU's tanh approximation (arXiv 1606.08415) as a sigmoid, as
# (1 + tanh(a)) / 2 = sigmoid(2 a): gelu(x) = x sigmoid(x (_LINEAR + _CUBIC
# x x)).
_LINEAR = 2 * math.sqrt(2 / math.pi)
_CUBIC = 0.044715 * _LINEAR


def layer_norm(inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor,
               epsilon: float) -> tf.Tensor:
  """LayerNorm in float32.

  Args:
    inputs: [R, D].
    gamma: the scale, float32 [D].
    beta: the offset, float32 [D].
    epsilon: added to the variance.

  Returns:
    [R, D], of the type of `inputs`.
  """
  centered, deviation, _ = _moments(inputs, epsilon)
  return tf.cast(centered / deviation * gamma + beta, inputs.dtype)


def _moments(inputs: tf.Tensor, epsilon: float
             ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Centered rows [R, D], their deviation and mean [R, 1], in float32."""
  rows = tf.cast(inputs, tf.float32)
  mean = tf.reduce_mean(rows, axis=-1, keepdims=True)
  centered = rows - mean
  deviation = tf.sqrt(
      tf.reduce_mean(tf.square(centered), axis=-1, keepdims=True) + epsilon)
  return centered, deviation, mean


def normalized_dense(
    inputs: tf.Tensor,
    gamma: tf.Tensor,
    beta: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    epsilon: float,
    multiply: Multiply = tf.matmul,
) -> tuple[tf.Tensor, tf.Tensor]:
  """LayerNorm in float32, then a dense layer.

  Keeps the inputs and two numbers a row; the normalised rows are computed
  again in the backward pass.

  The inputs are passed on, for the residual connection: so their gradient is
  summed here, in float32.

  Args:
    inputs: [R, D].
    gamma: the LayerNorm's scale, float32 [D].
    beta: the LayerNorm's offset, float32 [D].
    kernel: [D, M], of the type of `inputs`.
    bias: [M], of the type of `inputs`.
    epsilon: added to the variance.
    multiply: the matrix product.

  Returns:
    [R, M], of the type of `inputs`, and the inputs.
  """

  @_with_gradient
  def apply(inputs, gamma, beta, kernel, bias):
    centered, deviation, mean = _moments(inputs, epsilon)
    outputs = dense(
        tf.cast(centered / deviation * gamma + beta, kernel.dtype), kernel,
        bias, multiply)

    def gradient(upstream, residual_upstream):
      again = deviation + _zero_after(upstream)
      normalized = (tf.cast(inputs, tf.float32) - mean) / again  # [R, D]
      kernel_gradient = multiply(
          tf.cast(normalized * gamma + beta, kernel.dtype), upstream,
          transpose_a=True)
      back = tf.cast(
          multiply(upstream, kernel, transpose_b=True), tf.float32)  # [R, D]
      gamma_gradient = tf.reduce_sum(back * normalized, axis=0)
      beta_gradient = tf.reduce_sum(back, axis=0)
      back *= gamma
      along_normalized = tf.reduce_mean(
          back * normalized, axis=-1, keepdims=True)
      back -= tf.reduce_mean(back, axis=-1, keepdims=True)
      back -= normalized * along_normalized
      # The division is the last step for XLA on CPU: what ends in one is
      # computed once. A sum is computed anew wherever it is used, and with it
      # in bfloat16 the sums of all layers behind this one.
      inputs_gradient = (
          back + tf.cast(residual_upstream, tf.float32) * again) / again
      return (tf.cast(inputs_gradient, inputs.dtype), gamma_gradient,
              beta_gradient, kernel_gradient, _bias_gradient(upstream))

    return (outputs, tf.identity(inputs)), gradient

  return apply(inputs, gamma, beta, kernel, bias)


def gelu_dense(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor,
               gelu_dtype: tf.DType = tf.float32,
               multiply: Multiply = tf.matmul) -> tf.Tensor:
  """GELU (its tanh approximation), then a dense layer.

  Keeps the inputs alone; the GELU is computed again in the backward pass.

  Args:
    inputs: [R, M].
    kernel: [M, D], of the type of `inputs`.
    bias: [D], of the type of `inputs`.
    gelu_dtype: type that the GELU is computed in.
    multiply: the matrix product.

  Returns:
    [R, D], of the type of `inputs`.
  """

  @_with_gradient
  def apply(inputs, kernel, bias):
    rows = tf.cast(inputs, gelu_dtype)
    outputs = dense(
        tf.cast(rows * tf.sigmoid(rows * _slope(rows)), kernel.dtype), kernel,
        bias, multiply)

    def gradient(upstream):
      rows = tf.cast(inputs, gelu_dtype)
      zero = tf.cast(_zero_after(upstream), gelu_dtype)
      slope = _slope(rows) + zero
      gate = tf.sigmoid(rows * slope)  # [R, M]
      kernel_gradient = multiply(
          tf.cast(rows * gate, kernel.dtype), upstream, transpose_a=True)
      back = tf.cast(
          multiply(upstream, kernel, transpose_b=True), gelu_dtype)
      # d/dx x s(u(x)) = s + s (1 - s) x u'(x), with u' = 3 slope - 2 _LINEAR.
      inner = rows * (3 * slope - 2 * _LINEAR)
      back *= gate + gate * (1 - gate) * inner
      return (tf.cast(back, inputs.dtype), kernel_gradient,
              _bias_gradient(upstream))

    return outputs, gradient

  return apply(inputs, kernel, bias)


def attend(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor,
           drop: Callable[[tf.Tensor], tf.Tensor],
           multiply: Multiply = tf.matmul) -> tf.Tensor:
  """Scaled dot-product attention.

  Args:
    query: [B, N, T, H].
    key: [B, N, S, H].
    value: [B, N, S, H].
    drop: dropout of the attention weights, [B, N, T, S].
    multiply: the matrix product.

  Returns:
    [B, N, T, H].
  """
  query *= tf.cast(1 / math.sqrt(query.shape[-1]), query.dtype)
  scores = multiply(query, key, transpose_b=True)  # [B, N, T, S]
  return multiply(drop(tf.nn.softmax(scores)), value)


def split_heads(tokens: tf.Tensor, num_tokens: int, num_parts: int,
                num_heads: int) -> list[tf.Tensor]:
  """Splits what one matrix product gave into query, key or value heads.

  Args:
    tokens: [B * T, P * N * H].
    num_tokens: T.
    num_parts: P, how many of query, key and value there are.
    num_heads: N.

  Returns:
    P times [B, N, T, H].
  """
  head_size = tokens.shape[-1] // (num_parts * num_heads)
  tokens = tf.reshape(
      tokens, [-1, num_tokens, num_parts, num_heads, head_size])
  # [B, T, P, N, H] -> [P, B, N, T, H]
  return tf.unstack(tf.transpose(tokens, [2, 0, 3, 1, 4]), axis=0)


def join_heads(heads: tf.Tensor) -> tf.Tensor:
  """[B, N, T, H] -> [B * T, N * H]."""
  num_heads, _, head_size = heads.shape[1:]
  return tf.reshape(
      tf.transpose(heads, [0, 2, 1, 3]), [-1, num_heads * head_size])


def _with_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
  """`tf.custom_gradient`, but not in the graph that Keras infers shapes with.

  TensorFlow keeps a graph with a custom gradient, and the variables in it, for
  as long as the process lives. This one is never differentiated.

  Args:
    function: returns its result and what gives the gradients.

  Returns:
    What returns the result alone.
  """
  differentiable = tf.custom_gradient(function)

  def call(*arguments):
    if is_inferring_shapes():
      return function(*arguments)[0]
    return differentiable(*arguments)

  return call


def is_inferring_shapes() -> bool:
  """Whether Keras calls layers to connect them, not to compute."""
  graph = tf.compat.v1.get_default_graph()
  # The name of every graph that Keras makes and throws away for this.
  return getattr(graph, 'name', '').endswith(('keras_graph', '_scratch_graph'))


def _slope(rows: tf.Tensor) -> tf.Tensor:
  return tf.square(rows) * _CUBIC + _LINEAR


def dense(rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor,
          multiply: Multiply = tf.matmul) -> tf.Tensor:
  """[R, D] times [D, M] plus [M]."""
  return tf.nn.bias_add(multiply(rows, kernel), bias)


def multiply_in_float32(left: tf.Tensor, right: tf.Tensor,
                        transpose_a: bool = False,
                        transpose_b: bool = False) -> tf.Tensor:
  """`tf.matmul`, multiplied and summed in float32, then rounded.

  That is what a product of bfloat16 values is in hardware too: only the order
  of the sums differs. Keeps the operands as they come, not in float32.

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

  @_with_gradient
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


def _bias_gradient(upstream: tf.Tensor) -> tf.Tensor:
  return tf.raw_ops.BiasAddGrad(out_backprop=upstream)


def _zero_after(upstream: tf.Tensor) -> tf.Tensor:
  """A float32 zero that is known only once `upstream` is.

  Without it a compiler finds that forward and backward pass compute the same,
  computes it once and keeps it. It is NaN where `upstream` begins with NaN.
  """
  first = tf.cast(tf.reshape(upstream, [-1])[:1], tf.float32)
  return tf.minimum(tf.reduce_sum(tf.abs(first)), 0)
