"""Tests of pools that learn: values by hand, and the mean where they begin."""

import math

import models
import numpy as np
import numpy_reference
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.modeling import learned_pooling
from official_ext.modeling import token_ops

pytestmark = pytest.mark.numerics

# Sequences and grids, with and without short windows.
WINDOWS = [((8,), (2,)), ((7,), (3,)), ((3, 5), (2, 2)), ((3, 5), (1, 2))]


def build(kind, patch_shape, window, size=6, num_prefix_tokens=1, **settings):
  """A pool and tokens for it."""
  layer = learned_pooling.BY_NAME[kind](
      patch_shape, window, num_prefix_tokens, **settings)
  tokens = tf.random.normal(
      [2, num_prefix_tokens + math.prod(patch_shape), size])
  layer(tokens)
  return layer, tokens


def sequence(*values):
  """One image with tokens of size 1."""
  return tf.constant([[[float(value)] for value in values]])


def test_a_convolution_by_hand():
  layer, _ = build('conv', (5,), (2,), 1)
  # 0.75 of the first and 0.5 of the second token; of a token alone 1.5.
  layer.kernel.assign([[0.25], [0.]])
  np.testing.assert_array_equal(
      layer(sequence(100, 4, 2, 8, 6, 10)), sequence(100, 4, 9, 15))
  np.testing.assert_allclose(
      layer.shares(sequence(100, 4, 2, 8, 6, 10)),
      [[0.6, 0.4, 0.6, 0.4, 1]], rtol=1e-6)
  layer, _ = build('conv', (3, 3), (2, 2), 1, 0)
  layer.kernel.assign([[[0.75], [-0.25]], [[0.25], [-0.25]]])
  # 1 of the upper left and 0.5 of the lower left one; where the window is half
  # as large twice that, and four times in the corner.
  patches = sequence(1, 2, 3, 4, 5, 6, 7, 8, 9)
  np.testing.assert_array_equal(layer(patches), sequence(3, 12, 14, 36))
  np.testing.assert_allclose(layer.shares(patches)[0], [
      2 / 3, 0, 2 / 3, 1 / 3, 0, 1 / 3, 1, 0, 1], atol=1e-6)


def test_shares_of_a_convolution_are_those_of_its_channels():
  layer, tokens = build('conv', (2,), (2,), 2)
  # 1 and -1/3 in one channel, 0 and 1 in the other.
  layer.kernel.assign([[0.5, -0.5], [-5 / 6, 0.5]])
  np.testing.assert_allclose(
      layer.shares(tokens), [[3 / 8, 5 / 8]] * 2, rtol=1e-6)


def test_weights_by_hand():
  layer, _ = build('weighted', (5,), (2,), 2)
  # Normalised, (2, 0) is (1, -1) and (4, 6) is (-1, 1).
  layer.projection.assign([math.log(3) / 4, -math.log(3) / 4])
  tokens = tf.constant([[[7., 7], [2, 0], [4, 6], [4, 6], [4, 6], [1, 9]]])
  # The scores are log(3) / 2 and -log(3) / 2: 3 to 1.
  expected = [[7, 7], [2.5, 1.5], [4, 6], [1, 9]]
  np.testing.assert_allclose(layer(tokens)[0], expected, rtol=1e-5)
  np.testing.assert_allclose(
      layer.shares(tokens), [[0.75, 0.25, 0.5, 0.5, 1]], rtol=1e-5)


@pytest.mark.parametrize('kind', learned_pooling.BY_NAME)
def test_agrees_with_numpy(kind):
  for patch_shape, window in WINDOWS:
    layer, tokens = build(kind, patch_shape, window)
    models.randomize(layer)
    shares = layer.shares(tokens).numpy()
    assert shares.shape == (2, math.prod(patch_shape)) and shares.min() >= 0
    for image, found, share in zip(tokens.numpy(), layer(tokens), shares):
      image = image.astype(np.float64)
      tolerances.assert_close(found, numpy_reference.pool(
          image, patch_shape, window, kind, 1, layer), depth=2, length=6)
      for members in numpy_reference.windows(patch_shape, window):
        assert share[members].sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize('dtype', ['float32', 'mixed_bfloat16'])
@pytest.mark.parametrize('kind', learned_pooling.BY_NAME)
def test_they_begin_as_the_mean(kind, dtype):
  for patch_shape, window in WINDOWS:
    layer, tokens = build(kind, patch_shape, window, dtype=dtype)
    tokens = tf.cast(tokens, layer.compute_dtype)
    mean = token_ops.pool_tokens(tokens, patch_shape, window, 'mean', 1)
    found = layer(tokens)
    assert found.dtype == mean.dtype and len(layer.variables) == 1
    if kind == 'conv':
      np.testing.assert_array_equal(found, mean)
    else:
      tolerances.assert_close(
          tf.cast(found, tf.float32), tf.cast(mean, tf.float32), length=4,
          dtype=layer.compute_dtype)
    shares = layer.shares(tokens)[1].numpy()
    for members in numpy_reference.windows(patch_shape, window):
      np.testing.assert_allclose(shares[members], 1 / len(members), rtol=1e-6)


@pytest.mark.parametrize('kind', learned_pooling.BY_NAME)
def test_they_learn_from_where_they_begin(kind):
  layer, tokens = build(kind, (5,), (2,))
  variable, = layer.trainable_variables

  def loss():
    return tf.reduce_sum(tf.sin(layer(tokens)))

  with tf.GradientTape() as tape:
    value = loss()
  gradient = tape.gradient(value, variable)
  step = 1e-2 * gradient / tf.norm(gradient)
  variable.assign_add(step)
  above = loss()
  variable.assign_sub(2 * step)
  slope = (above - loss()) / 2e-2
  assert float(slope) > 1e-2
  assert float(slope) == pytest.approx(float(tf.norm(gradient)), rel=1e-2)


@pytest.mark.parametrize('kind', learned_pooling.BY_NAME)
def test_rebuilds_from_its_config(kind):
  layer, tokens = build(
      kind, (3, 5), (2, 1), num_prefix_tokens=2, norm_epsilon=1e-2,
      kernel_regularizer=tf_keras.regularizers.l2(0.1), name='mine')
  models.randomize(layer)
  copy = tf_keras.layers.deserialize(tf_keras.layers.serialize(layer))
  assert copy.get_config() == layer.get_config()
  copy(tokens)
  copy.set_weights(layer.get_weights())
  np.testing.assert_array_equal(copy(tokens), layer(tokens))
  variable, = layer.variables
  assert float(copy.losses[0]) == pytest.approx(
      0.1 * float(tf.reduce_sum(variable ** 2)), rel=1e-5)
