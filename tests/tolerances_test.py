"""A right result in another order passes; a wrong one does not."""

import math

import numpy as np
import numpy_reference
import pytest
import tensorflow as tf
import tolerances

from official_ext.modeling import funnel_encoder
from official_ext.modeling import layout as layout_lib

pytestmark = pytest.mark.numerics


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float32'])
@pytest.mark.parametrize('length', [8, 768, 3072])
def test_a_sum_in_another_order_passes(dtype, length):
  generator = np.random.default_rng(length)
  terms = tf.cast(generator.normal(size=[200, length]), dtype)

  @tf.function
  def added(order):
    total = tf.zeros([200], dtype)
    for index in order:
      total += terms[:, index]
    return total

  one, other = (added(tf.constant(order)) for order in (
      np.arange(length), generator.permutation(length)))
  assert np.abs(tf.cast(one - other, tf.float64)).max() > 0
  # The size of a sum on its way there.
  tolerances.assert_close(
      one, other, length=length, dtype=dtype, scale=np.sqrt(length))


@pytest.fixture(scope='module', name='encoder')
def _encoder():
  """An encoder, tokens and its outputs by NumPy's code, as a function."""
  blocks = layout_lib.resolve(
      layout_lib.parse('B2-2'), grid=(4, 4), hidden_size=64, mlp_dim=256,
      num_heads=2)
  encoder = funnel_encoder.FunnelEncoder(blocks)
  tokens = np.random.default_rng(1).normal(size=(17, 64)).astype(np.float32)
  output = encoder(tokens[np.newaxis])[0]

  def check():
    expected = numpy_reference.encoder(
        tokens.astype(np.float64), encoder, blocks, pooling='mean',
        pool_query_only=True, num_prefix_tokens=1)
    tolerances.assert_close(output, expected, depth=4, length=256)

  return check


def test_the_right_encoder_passes(encoder):
  encoder()


def _erf_gelu(x):
  return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def _without_residual(query, key_value, layer, *_):
  x = numpy_reference.attention(
      numpy_reference.layer_norm(query, layer._attention_layer_norm),
      numpy_reference.layer_norm(key_value, layer._attention_layer_norm),
      layer._attention_layer)
  return x + query * (1 - 1e-3)


@pytest.mark.parametrize('name, wrong', [
    ('gelu', _erf_gelu),
    ('gelu', lambda x: np.maximum(x, 0)),
    ('attention', lambda *_: 0),
    ('transformer_layer', _without_residual),
])
def test_a_wrong_encoder_fails(encoder, monkeypatch, name, wrong):
  monkeypatch.setattr(numpy_reference, name, wrong)
  with pytest.raises(AssertionError, match='Not equal to tolerance'):
    encoder()


def test_what_is_not_finite_has_no_tolerance():
  with pytest.raises(ValueError, match='not finite'):
    tolerances.assert_close([1.0], [np.inf])
  with pytest.raises(AssertionError):
    tolerances.assert_close([np.nan], [1.0])
