"""Tests of the hand-written gradients against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf
import tolerances

from official_ext.modeling import gelu
from official_ext.modeling import rematerialization

pytestmark = pytest.mark.numerics


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


PLAIN_GELUS = {
    'gelu_tanh': plain_gelu_dense,
    'gelu_erf': lambda inputs, kernel, bias: (
        tf.nn.gelu(inputs, approximate=False) @ kernel + bias),
    'gelu_quick': lambda inputs, kernel, bias: (
        tf.nn.swish(inputs, beta=1.702) @ kernel + bias),
}


CASES = {
    'normalized_dense': (
        # With the inputs that it passes on.
        lambda *arguments: tf.concat(
            rematerialization.normalized_dense(*arguments, 1e-6), axis=1),
        plain_normalized_dense,
        # Rows far from 0 and of small variance among them.
        [values(6, 8) * [[1.], [9.], [.1], [1.], [1.], [1e-3]]
         + [[0.], [5.], [0.], [-20.], [0.], [0.]],
         1 + values(8, seed=1), values(8, seed=2), values(8, 5, seed=3),
         values(5, seed=4)]),
    **{f'activated_dense, {name}': (
        lambda *arguments, name=name: rematerialization.activated_dense(
            *arguments, gelu.BY_NAME[name]), plain,
        [values(6, 8) * [[1.], [9.], [.1], [40.], [1.], [1e-3]],
         values(8, 5, seed=3), values(5, seed=4)])
       for name, plain in PLAIN_GELUS.items()},
}


@pytest.mark.slow
@pytest.mark.parametrize('compiled', [False, True])
@pytest.mark.parametrize('case', CASES)
def test_agrees_with_tensorflows_gradient(case, compiled):
  fused, plain, arguments = CASES[case]
  run = tf.function(outputs_and_gradients, jit_compile=compiled)
  expected = outputs_and_gradients(
      lambda *a: plain(*a), [tf.cast(a, tf.float64) for a in arguments])
  for got, wanted in zip(run(fused, arguments), expected):
    assert got.dtype == tf.float32
    # Subtracting the mean of rows at -20 leaves what their size rounds to.
    tolerances.assert_close(
        got, wanted, length=8, scale=20 * np.abs(wanted).max())


def test_gelu_in_bfloat16_is_within_its_rounding():
  arguments = [values(64, 32, dtype=tf.bfloat16),
               values(32, 16, seed=3, dtype=tf.bfloat16) / 8,
               values(16, seed=4, dtype=tf.bfloat16)]
  exact = outputs_and_gradients(
      plain_gelu_dense, [tf.cast(a, tf.float64) for a in arguments])
  found = outputs_and_gradients(rematerialization.activated_dense, arguments)
  for got, wanted in zip(found, exact, strict=True):
    assert got.dtype == tf.bfloat16
    error = np.linalg.norm(tf.cast(got, tf.float64) - wanted)
    assert error < 0.01 * np.linalg.norm(wanted)


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
