"""Parts of a transformer layer that save less for the backward pass.

What costs little to compute again (a LayerNorm's output, a GELU) is
rematerialised in the backward pass rather than saved, as in selective
activation recomputation (arXiv 2205.05198), with gradients written by hand.
Without `rematerialize` TensorFlow derives the gradient and saves what it likes.
No weights live here.

Legend: B batch, T tokens, D hidden size, M any width, R = B * T rows.
"""

from __future__ import annotations

import tensorflow as tf

from official_ext.modeling import custom_gradients
from official_ext.modeling import gelu


def dense(rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor,
          matmul: custom_gradients.Matmul = tf.matmul) -> tf.Tensor:
  """Returns [R, D] times [D, M] plus [M]."""
  return tf.nn.bias_add(matmul(rows, kernel), bias)


def layer_norm(inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor,
               epsilon: float) -> tf.Tensor:
  """Applies a LayerNorm in float32.

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
  """Returns rows less their mean [R, D], deviation, mean [R, 1], in float32."""
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
    matmul: custom_gradients.Matmul = tf.matmul,
    rematerialize: bool = True,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Applies a LayerNorm in float32, then a dense layer.

  Saves the inputs and two numbers per row; the normalised rows are
  rematerialised.

  The inputs are passed on, for the residual connection: so their gradient is
  summed here, in float32.

  Args:
    inputs: [R, D].
    gamma: the LayerNorm's scale, float32 [D].
    beta: the LayerNorm's offset, float32 [D].
    kernel: [D, M], of the type of `inputs`.
    bias: [M], of the type of `inputs`.
    epsilon: added to the variance.
    matmul: the matrix product.
    rematerialize: whether the gradient is the one written here.

  Returns:
    [R, M], of the type of `inputs`, and the inputs.
  """
  if not rematerialize:
    rows = layer_norm(inputs, gamma, beta, epsilon)
    return dense(rows, kernel, bias, matmul), inputs

  @custom_gradients.with_gradient
  def apply(inputs, gamma, beta, kernel, bias):
    centered, deviation, mean = _moments(inputs, epsilon)
    outputs = dense(
        tf.cast(centered / deviation * gamma + beta, kernel.dtype), kernel,
        bias, matmul)

    def gradient(upstream, residual_upstream):
      again = deviation + custom_gradients.zero_after(upstream)
      normalized = (tf.cast(inputs, tf.float32) - mean) / again  # [R, D]
      kernel_gradient = matmul(
          tf.cast(normalized * gamma + beta, kernel.dtype), upstream,
          transpose_a=True)
      back = tf.cast(
          matmul(upstream, kernel, transpose_b=True), tf.float32)  # [R, D]
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


def activated_dense(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    activation: gelu.Activation = gelu.tanh,
    matmul: custom_gradients.Matmul = tf.matmul,
    rematerialize: bool = True,
) -> tf.Tensor:
  """Applies a GELU in float32, then a dense layer.

  Saves the inputs alone; the GELU is rematerialised.

  Args:
    inputs: [R, M].
    kernel: [M, D], of the type of `inputs`.
    bias: [D], of the type of `inputs`.
    activation: which GELU, with its derivative.
    matmul: the matrix product.
    rematerialize: whether the gradient is the one written here.

  Returns:
    [R, D], of the type of `inputs`.
  """

  def forward(inputs, kernel, bias):
    rows, _ = activation(tf.cast(inputs, tf.float32))
    return dense(tf.cast(rows, kernel.dtype), kernel, bias, matmul)

  @custom_gradients.with_gradient
  def apply(inputs, kernel, bias):

    def gradient(upstream):
      rows, derivative = activation(
          tf.cast(inputs, tf.float32) + custom_gradients.zero_after(upstream))
      kernel_gradient = matmul(
          tf.cast(rows, kernel.dtype), upstream, transpose_a=True)
      back = tf.cast(
          matmul(upstream, kernel, transpose_b=True), tf.float32)  # [R, M]
      return (tf.cast(back * derivative, inputs.dtype), kernel_gradient,
              _bias_gradient(upstream))

    return forward(inputs, kernel, bias), gradient

  if not rematerialize:
    return forward(inputs, kernel, bias)
  return apply(inputs, kernel, bias)


def _bias_gradient(upstream: tf.Tensor) -> tf.Tensor:
  return tf.raw_ops.BiasAddGrad(out_backprop=upstream)
