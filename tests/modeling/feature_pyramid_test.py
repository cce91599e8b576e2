"""Tests of the simple feature pyramid, against NumPy."""

import models
import numpy as np
import numpy_reference
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.modeling import feature_pyramid
from official_ext.modeling import options as options_lib

pytestmark = pytest.mark.numerics


def random_map():
  return np.random.default_rng(1).normal(size=(2, 3, 5, 8)).astype(np.float32)


def build(levels, patch_level, filters=6, **options):
  layer = feature_pyramid.FeaturePyramid(
      levels, patch_level, filters, options_lib.EncoderOptions(**options))
  layer(random_map())
  models.randomize(layer)
  return layer


def up_sample(x, layer):
  """A transposed convolution of 2 x 2 and stride 2, [H, W, D] -> 2 H, 2 W."""
  height, width, _ = x.shape
  kernel = layer.kernel.numpy()  # [2, 2, D', D]
  result = np.zeros((2 * height, 2 * width, kernel.shape[2]))
  for row in range(2):
    for column in range(2):
      result[row::2, column::2] = x @ kernel[row, column].T
  return result + layer.bias.numpy()


def largest(x):
  """The largest of every 2 x 2, of fewer at an odd end."""
  height, width, _ = x.shape
  return np.array([[x[row:row + 2, column:column + 2].max(axis=(0, 1))
                    for column in range(0, width, 2)]
                   for row in range(0, height, 2)])


def convolve(x, layer):
  """A convolution of 3 x 3 without bias, zeros around."""
  height, width, _ = x.shape
  kernel = layer.kernel.numpy()
  padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
  return sum(padded[row:row + height, column:column + width] @ kernel[
      row, column] for row in range(3) for column in range(3))


def pyramid(x, level, patch_level, layer):
  """A map of one image."""
  for one in layer._up_samplings[str(level)]:
    if isinstance(one, tf_keras.layers.LayerNormalization):
      x = numpy_reference.gelu(numpy_reference.layer_norm(x, one))
    else:
      x = up_sample(x, one)
  for _ in range(level - patch_level):
    x = largest(x)
  reduce, reduce_norm, smooth, smooth_norm = layer._convolutions[str(level)]
  x = numpy_reference.layer_norm(x @ reduce.kernel.numpy()[0, 0], reduce_norm)
  return numpy_reference.layer_norm(convolve(x, smooth), smooth_norm)


def test_agrees_with_numpy():
  levels, images = (2, 3, 4, 5, 6), random_map()
  layer = build(levels, 4)
  maps = layer(images)
  assert {level: one.shape[1:] for level, one in maps.items()} == {
      '2': (12, 20, 6), '3': (6, 10, 6), '4': (3, 5, 6), '5': (2, 3, 6),
      '6': (1, 2, 6)}
  for index, image in enumerate(images.astype(np.float64)):
    for level in levels:
      tolerances.assert_close(
          maps[str(level)][index], pyramid(image, level, 4, layer), depth=8,
          length=54, message=str(level))


def test_channels_are_halved_as_in_vitdet():
  layer = build((2, 3, 4, 5), 4)
  assert [[one.filters for one in layers if hasattr(one, 'filters')]
          for layers in layer._up_samplings.values()] == [[4, 2], [4], [], []]
  # Two LayerNorms follow the convolutions, whose biases they would undo.
  assert {variable.name.split('/')[-1] for layers in
          layer._convolutions.values() for one in layers
          for variable in one.variables} == {'kernel:0', 'gamma:0', 'beta:0'}


def test_takes_activation_and_epsilon_of_the_encoder():
  plain = build((1,), 3)(random_map())['1']
  for options in (dict(activation='gelu_quick'), dict(norm_epsilon=0.5)):
    assert np.abs(build((1,), 3, **options)(random_map())['1'] - plain
                  ).max() > 1e-3


def test_names_are_not_those_of_the_embedding():
  # By these a learning rate by layer knows it.
  assert not [variable.name for variable in build((2, 3), 3).variables
              if 'conv2d' in variable.name]


def test_computes_in_bfloat16():
  expected = build((2, 4), 3)(random_map())
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  for level, found in build((2, 4), 3)(
      tf.cast(random_map(), tf.bfloat16)).items():
    assert found.dtype == tf.bfloat16
    tolerances.assert_close(
        found, expected[level], depth=8, length=54, dtype='bfloat16')


def test_rebuilds_from_its_config():
  layer = feature_pyramid.FeaturePyramid(
      (2, 5), 4, 6, options_lib.EncoderOptions(norm_epsilon=1e-3),
      tf_keras.regularizers.l2(1e-3), name='mine')
  copy = tf_keras.layers.deserialize(tf_keras.layers.serialize(layer))
  assert copy.get_config() == layer.get_config()
  for one in (layer, copy):
    one(random_map())
  copy.set_weights(layer.get_weights())
  for level, found in layer(random_map()).items():
    np.testing.assert_array_equal(copy(random_map())[level], found)
