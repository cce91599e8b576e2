"""Tests of the attention-pooling head."""

import backbone_reference
import models
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.modeling import attention_pooling
from official_ext.modeling import options as options_lib

pytestmark = pytest.mark.numerics


def build(tokens, **options):
  layer = attention_pooling.AttentionPooling(
      2, 12, options_lib.EncoderOptions(**options))
  layer(tokens)
  models.randomize(layer)
  return layer


def random_tokens():
  return np.random.default_rng(1).normal(size=(3, 5, 8)).astype(np.float32)


def test_agrees_with_numpy():
  tokens = random_tokens()
  layer = build(tokens)
  pooled = layer(tokens)
  assert pooled.shape == (3, 8)
  for image, found in zip(tokens.astype(np.float64), pooled):
    tolerances.assert_close(
        found, backbone_reference.map_head(image, layer), depth=2, length=12)


def test_equal_tokens_are_gathered_unchanged():
  # Whatever the attention, it is a mean of equal values.
  tokens = np.repeat(random_tokens()[:, :1], 5, axis=1)
  layer = build(tokens)
  tolerances.assert_close(
      layer(tokens), layer(tokens[:, :1]), depth=2, length=12)


@pytest.mark.parametrize('options', [
    dict(activation='gelu_quick'), dict(norm_epsilon=0.5)], ids=str)
def test_takes_activation_and_epsilon_of_the_encoder(options):
  tokens = random_tokens()
  assert np.abs(build(tokens, **options)(tokens) - build(tokens)(tokens)
                ).max() > 1e-3


def test_rebuilds_from_its_config():
  layer = attention_pooling.AttentionPooling(
      2, 12, options_lib.EncoderOptions(activation='gelu_erf'),
      tf_keras.regularizers.l2(1e-3))
  copy = tf_keras.layers.deserialize(tf_keras.layers.serialize(layer))
  assert copy.get_config() == layer.get_config()
  tokens = random_tokens()
  layer(tokens)
  copy(tokens)
  for source, target in zip(layer.variables, copy.variables, strict=True):
    assert source.name == target.name
    target.assign(source)
  np.testing.assert_array_equal(layer(tokens), copy(tokens))


def test_computes_in_bfloat16():
  tokens = random_tokens()
  expected = build(tokens)(tokens)
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  found = build(tokens)(tf.cast(tokens, tf.bfloat16))
  assert found.dtype == tf.bfloat16
  tolerances.assert_close(
      tf.cast(found, tf.float32), expected, depth=2, length=12,
      dtype='bfloat16')
