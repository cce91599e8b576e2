"""Tests of attention between heads, by hand."""

import numpy as np
import pytest
import tensorflow as tf
import tolerances

from official_ext.modeling import attention
from official_ext.modeling import fused_attention
from official_ext.modeling import hardware

pytestmark = pytest.mark.numerics


def test_attention_by_hand():
  """One head of one dimension: weights softmax(q k), of the values."""
  query = tf.constant([[[[1.], [2.]]]])
  key = tf.constant([[[[0.], [np.log(3.)]]]])
  value = tf.constant([[[[4.], [8.]]]])
  found = attention.choose('plain')(
      query, key, value, drop=lambda weights: weights)
  # Weights 1 : 3, then 1 : 9.
  tolerances.assert_close(found[0, 0, :, 0], [7, 7.6], length=2)


def test_a_key_that_stands_for_three_patches_counts_three_times():
  query = tf.constant([[[[0.], [2.]]]])
  key = tf.constant([[[[0.], [np.log(3.)]]]])
  value = tf.constant([[[[4.], [8.]]]])
  bias = attention.proportional_bias([3, 1])
  assert bias.dtype == np.float32
  # Weights 3 * 1 : 1, then 3 * 1 : 9.
  found = attention.choose('plain')(query, key, value, bias=bias)
  tolerances.assert_close(found[0, 0, :, 0], [5, 7], length=2)
  tolerances.assert_close(
      attention.weights(query, key, bias=bias)[0, 0],
      [[0.75, 0.25], [0.25, 0.75]], length=2)


def test_equal_keys_need_no_bias():
  assert attention.proportional_bias([4, 4, 4]) is None
  assert attention.proportional_bias([1]) is None
  query, key = tf.random.normal([1, 2, 3, 8]), tf.random.normal([1, 2, 5, 8])
  # Softmax does not feel a constant.
  tolerances.assert_close(
      attention.weights(query, key, bias=np.full(5, np.log(4), np.float32)),
      attention.weights(query, key), length=8)


def random_heads(head_size, num_keys=7, dtype=tf.float32):
  return [tf.cast(tf.random.normal([2, 3, length, head_size]), dtype)
          for length in (5, num_keys, num_keys)]


def with_gradients(attend, heads):
  with tf.GradientTape() as tape:
    tape.watch(heads)
    context = attend(*heads)
    loss = tf.reduce_sum(tf.sin(context))
  return [context, *tape.gradient(loss, heads)]


BIAS = attention.proportional_bias([1, 4, 4, 4, 4, 4, 3])


@pytest.mark.parametrize('head_size, widened', [(64, 72), (5, 8)])
def test_a_bias_in_a_channel_is_the_bias_that_is_added(head_size, widened):
  heads = random_heads(head_size)

  def carried(*heads):
    wide = attention.with_bias_channels(*heads, BIAS)
    assert [one.shape[-1] for one in wide] == [widened] * 3
    context = attention.plain(*wide)
    np.testing.assert_array_equal(
        context[..., head_size:], tf.zeros_like(context[..., head_size:]))
    return context[..., :head_size]

  found = with_gradients(carried, heads)
  expected = with_gradients(
      lambda *heads: attention.plain(*heads, bias=BIAS), heads)
  assert found[0].shape == (2, 3, 5, head_size)
  # Without the bias the answer is another one.
  assert np.abs(expected[0] - attention.plain(*heads)).max() > 0.01
  for ours, theirs in zip(found, expected, strict=True):
    tolerances.assert_close(ours, theirs, depth=3, length=head_size)


def test_a_bias_in_a_channel_of_bfloat16():
  heads = random_heads(64, dtype=tf.bfloat16)
  query, key, value = attention.with_bias_channels(*heads, BIAS)
  np.testing.assert_array_equal(query[..., :64], tf.cast(
      tf.cast(heads[0], tf.float32) * np.sqrt(72 / 64), tf.bfloat16))
  np.testing.assert_array_equal(key[..., :64], heads[1])
  np.testing.assert_array_equal(value[..., :64], heads[2])
  np.testing.assert_array_equal(query[1, 2, 3, 64:], [1] + [0] * 7)
  np.testing.assert_array_equal(key[1, 2, :, 64], tf.cast(
      np.sqrt(72) * np.log([1, 4, 4, 4, 4, 4, 3]), tf.bfloat16))
  for heads in (key[..., 65:], value[..., 64:]):
    np.testing.assert_array_equal(heads, tf.zeros_like(heads))


def test_the_kernel_is_given_the_bias_in_a_channel(monkeypatch):
  called = []

  def kernel(query, key, value):
    called.append(query.shape[-1])
    return attention.plain(query, key, value)

  monkeypatch.setattr(fused_attention, 'attend', kernel)
  monkeypatch.setattr(fused_attention, 'is_compiled_by_xla', lambda: True)
  # In float32, so that nothing but the order of sums differs.
  monkeypatch.setattr(fused_attention, 'ELEMENT_TYPES', {tf.float32: 'F32'})
  attend = attention.choose('fused')
  with hardware.assume_gpu():
    heads = random_heads(64)
    for bias in (BIAS, None):
      tolerances.assert_close(
          attend(*heads, training=True, bias=bias),
          attention.plain(*heads, bias=bias), length=64)
    assert called == [72, 64]
    # Heads that are as large as the kernel takes have no room for a channel.
    heads = random_heads(128)
    attend(*heads, training=True)
    with pytest.raises(ValueError, match="is 'fused', but .* theirs have 136"):
      attend(*heads, training=True, bias=BIAS)
    np.testing.assert_array_equal(
        attention.choose('auto')(*heads, bias=BIAS),
        attention.plain(*heads, bias=BIAS))


def test_heads_are_split_and_joined():
  # B = 2, T = 3, P = 2, N = 4, H = 5
  rows = tf.random.normal([2 * 3, 2 * 4 * 5])
  query, key = attention.split_heads(rows, 3, num_projections=2, num_heads=4)
  assert query.shape == key.shape == (2, 4, 3, 5)
  np.testing.assert_array_equal(key[1, 2, 0], rows[3, 20 + 10:20 + 15])
  np.testing.assert_array_equal(attention.join_heads(key), rows[:, 20:])
