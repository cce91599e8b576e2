"""Tests of the hand-written gradients against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from official_ext.modeling import fused_ops


def values(*shape, seed=0, dtype=tf.float32):
  generator = np.random.default_rng(seed)
  return tf.cast(tf.constant(generator.normal(size=shape)), dtype)


def outputs_and_gradients(function, arguments):
  """What a function gives, and its gradient for a fixed upstream one."""
  with tf.GradientTape() as tape:
    tape.watch(arguments)
    outputs = function(*arguments)
    loss = tf.reduce_sum(outputs * values(*outputs.shape, seed=9,
                                          dtype=outputs.dtype))
  return [outputs, *tape.gradient(loss, arguments)]


def plain_normalized_dense(inputs, gamma, beta, kernel, bias):
  mean, variance = tf.nn.moments(inputs, axes=[-1], keepdims=True)
  outputs = tf.nn.batch_normalization(
      inputs, mean, variance, beta, gamma, 1e-6) @ kernel + bias
  return tf.concat([outputs, inputs], axis=1)


def plain_gelu_dense(inputs, kernel, bias):
  return tf.nn.gelu(inputs, approximate=True) @ kernel + bias


CASES = {
    'normalized_dense': (
        # With the inputs that it passes on.
        lambda *arguments: tf.concat(
            fused_ops.normalized_dense(*arguments, 1e-6), axis=1),
        plain_normalized_dense,
        # Rows far from 0 and of small variance among them.
        [values(6, 8) * [[1.], [9.], [.1], [1.], [1.], [1e-3]]
         + [[0.], [5.], [0.], [-20.], [0.], [0.]],
         1 + values(8, seed=1), values(8, seed=2), values(8, 5, seed=3),
         values(5, seed=4)]),
    'gelu_dense': (
        fused_ops.gelu_dense, plain_gelu_dense,
        [values(6, 8) * [[1.], [9.], [.1], [40.], [1.], [1e-3]],
         values(8, 5, seed=3), values(5, seed=4)]),
}


@pytest.mark.parametrize('compiled', [False, True])
@pytest.mark.parametrize('case', CASES)
def test_agrees_with_tensorflows_gradient(case, compiled):
  fused, plain, arguments = CASES[case]
  run = tf.function(outputs_and_gradients, jit_compile=compiled)
  expected = outputs_and_gradients(
      lambda *a: plain(*a), [tf.cast(a, tf.float64) for a in arguments])
  for got, wanted in zip(run(fused, arguments), expected):
    assert got.dtype == tf.float32
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5 * scale)


def test_gelu_by_hand():
  """x = 0 gives 0, large x gives x, and its slope at 0 is a half."""
  inputs = tf.constant([[0., 10., -10., 1.]])
  kernel, bias = tf.eye(4), tf.zeros([4])
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    outputs = fused_ops.gelu_dense(inputs, kernel, bias)
  # 0.5 (1 + tanh(sqrt(2 / pi) 1.044715)) = 0.84119
  np.testing.assert_allclose(outputs, [[0, 10, 0, 0.841192]], atol=1e-6)
  slopes = tape.gradient(outputs, inputs)
  np.testing.assert_allclose(slopes[0, :3], [0.5, 1, 0], atol=1e-6)


def test_gelu_in_bfloat16_is_within_its_rounding():
  arguments = [values(64, 32, dtype=tf.bfloat16),
               values(32, 16, seed=3, dtype=tf.bfloat16) / 8,
               values(16, seed=4, dtype=tf.bfloat16)]
  exact = outputs_and_gradients(
      plain_gelu_dense, [tf.cast(a, tf.float64) for a in arguments])
  for dtype, tolerance in ((tf.float32, 0.01), (tf.bfloat16, 0.025)):
    found = outputs_and_gradients(
        lambda *a, dtype=dtype: fused_ops.gelu_dense(*a, dtype), arguments)
    for got, wanted in zip(found, exact):
      assert got.dtype == tf.bfloat16
      error = np.linalg.norm(tf.cast(got, tf.float64) - wanted)
      assert error < tolerance * np.linalg.norm(wanted)


@pytest.mark.parametrize('case', CASES)
def test_an_upstream_nan_is_not_hidden(case):
  fused, _, arguments = CASES[case]
  with tf.GradientTape() as tape:
    tape.watch(arguments)
    outputs = fused(*arguments)
  gradients = tape.gradient(
      outputs, arguments, output_gradients=outputs * float('nan'))
  for gradient in gradients:
    assert np.isnan(gradient).any()


@pytest.mark.parametrize('case', CASES)
def test_an_empty_batch_has_gradients_of_zero(case):
  fused, _, arguments = CASES[case]
  arguments = [arguments[0][:0], *arguments[1:]]
  found = outputs_and_gradients(fused, arguments)
  assert found[0].shape[0] == 0
  for gradient in found[2:]:
    np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))


def test_attention_by_hand():
  """One head of one dimension: weights softmax(q k), of the values."""
  query = tf.constant([[[[1.], [2.]]]])
  key = tf.constant([[[[0.], [np.log(3.)]]]])
  value = tf.constant([[[[4.], [8.]]]])
  found = fused_ops.attend(query, key, value, drop=lambda weights: weights)
  # Weights 1 : 3, then 1 : 9.
  np.testing.assert_allclose(found[0, 0, :, 0], [7, 7.6], rtol=1e-6)


def test_heads_are_split_and_joined():
  rows = values(2 * 3, 2 * 4 * 5)  # B = 2, T = 3, P = 2, N = 4, H = 5
  query, key = fused_ops.split_heads(rows, 3, num_parts=2, num_heads=4)
  assert query.shape == key.shape == (2, 4, 3, 5)
  np.testing.assert_array_equal(key[1, 2, 0], rows[3, 20 + 10:20 + 15])
  np.testing.assert_array_equal(fused_ops.join_heads(key), rows[:, 20:])


@pytest.mark.parametrize('transposed', [
    (False, False), (False, True), (True, False), (True, True)])
def test_products_in_float32(transposed):
  transpose_a, transpose_b = transposed
  left = values(2, *((3, 700) if not transpose_a else (700, 3)),
                dtype=tf.bfloat16)
  right = values(2, *((700, 5) if not transpose_b else (5, 700)), seed=1,
                 dtype=tf.bfloat16)

  upstream = values(2, 3, 5, seed=2, dtype=tf.bfloat16)

  def run(multiply, *arguments):
    left, right, upstream = arguments
    with tf.GradientTape() as tape:
      tape.watch([left, right])
      outputs = multiply(left, right, transpose_a=transpose_a,
                         transpose_b=transpose_b)
    return [outputs, *tape.gradient(outputs, [left, right], upstream)]

  found = run(fused_ops.multiply_in_float32, left, right, upstream)
  exact = run(tf.matmul, *(tf.cast(value, tf.float64)
                           for value in (left, right, upstream)))
  for got, wanted in zip(found, exact, strict=True):
    assert got.dtype == tf.bfloat16
    # One rounding to bfloat16's 8 bits, and float32 sums: where terms cancel,
    # these leave an error that does not shrink with the result.
    np.testing.assert_allclose(
        tf.cast(got, tf.float64), wanted, rtol=2**-8, atol=2e-5)
