"""Tests of the matrix product in float32 and of its gradients."""

import numpy as np
import pytest
import tensorflow as tf
import tolerances

from official_ext.modeling import custom_gradients

pytestmark = pytest.mark.numerics


def values(*shape, seed=0, dtype=tf.bfloat16):
  generator = np.random.default_rng(seed)
  return tf.cast(tf.constant(generator.normal(size=shape)), dtype)


@pytest.mark.parametrize('transposed', [
    (False, False), (False, True), (True, False), (True, True)])
def test_matmul_in_float32(transposed):
  transpose_a, transpose_b = transposed
  left = values(2, *((3, 700) if not transpose_a else (700, 3)),
                dtype=tf.bfloat16)
  right = values(2, *((700, 5) if not transpose_b else (5, 700)), seed=1,
                 dtype=tf.bfloat16)

  upstream = values(2, 3, 5, seed=2, dtype=tf.bfloat16)

  def run(matmul, *arguments):
    left, right, upstream = arguments
    with tf.GradientTape() as tape:
      tape.watch([left, right])
      outputs = matmul(left, right, transpose_a=transpose_a,
                       transpose_b=transpose_b)
    return [outputs, *tape.gradient(outputs, [left, right], upstream)]

  found = run(custom_gradients.matmul_in_float32, left, right, upstream)
  exact = run(tf.matmul, *(tf.cast(value, tf.float64)
                           for value in (left, right, upstream)))
  for got, wanted in zip(found, exact, strict=True):
    assert got.dtype == tf.bfloat16
    # One rounding to bfloat16, and float32 sums of 700 terms: in bfloat16 the
    # error would be of the size of all of them.
    np.testing.assert_array_less(
        np.abs(tf.cast(got, tf.float64) - wanted),
        2**-8 * np.abs(wanted) + tolerances.atol(wanted, length=700))
