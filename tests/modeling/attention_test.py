"""Tests of attention between heads, by hand."""

import numpy as np
import pytest
import tensorflow as tf
import tolerances

from official_ext.modeling import attention

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


def no_dropout(weights):
  return weights


def test_a_key_that_stands_for_three_patches_counts_three_times():
  query = tf.constant([[[[0.], [2.]]]])
  key = tf.constant([[[[0.], [np.log(3.)]]]])
  value = tf.constant([[[[4.], [8.]]]])
  bias = attention.proportional_bias([3, 1])
  assert bias.dtype == np.float32
  # Weights 3 * 1 : 1, then 3 * 1 : 9.
  found = attention.choose()(query, key, value, drop=no_dropout, bias=bias)
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


@pytest.mark.parametrize('head_size, widened', [(64, 72), (16, 24), (5, 8)])
def test_a_bias_in_a_channel_is_the_bias_that_is_added(head_size, widened):
  num_keys = 7
  bias = attention.proportional_bias([1, 4, 4, 4, 4, 4, 3])
  shape = [2, 3, 5, head_size]
  heads = [tf.random.normal(shape[:2] + [length, head_size])
           for length in (5, num_keys, num_keys)]

  def fused(query, key, value):
    """What an implementation computes that takes no bias, and scales by 1."""
    scores = tf.matmul(query, key, transpose_b=True)
    return tf.matmul(tf.nn.softmax(scores), value)[..., :head_size]

  with tf.GradientTape(persistent=True) as tape:
    tape.watch(heads)
    plain = attention.plain(*heads, drop=no_dropout, bias=bias)
    carried = attention.with_bias_channels(*heads, bias)
    assert [one.shape[-1] for one in carried] == [widened] * 3
    found = fused(*carried)
    losses = [tf.reduce_sum(tf.sin(outputs)) for outputs in (plain, found)]
  assert found.shape == shape
  # Without the bias the answer is another one.
  assert np.abs(plain - attention.plain(*heads, drop=no_dropout)).max() > 0.01
  tolerances.assert_close(found, plain, length=head_size)
  for ours, theirs in zip(*(tape.gradient(loss, heads) for loss in losses)):
    tolerances.assert_close(
        ours, theirs, depth=2, length=head_size, scale=np.abs(theirs).max())


def test_a_bias_in_a_channel_of_bfloat16():
  bias = attention.proportional_bias([1, 4, 3])
  query, key, value = (
      tf.cast(tf.random.normal([1, 1, 3, 64]), tf.bfloat16) for _ in range(3))
  wide_query, wide_key, wide_value = attention.with_bias_channels(
      query, key, value, bias)
  # A scale of 1 / 8 is exact, and so is a 1.
  np.testing.assert_array_equal(wide_query[..., :64], query / 8)
  np.testing.assert_array_equal(wide_key[..., :64], key)
  np.testing.assert_array_equal(wide_query[0, 0, 0, 64:], [1] + [0] * 7)
  np.testing.assert_array_equal(
      wide_key[0, 0, :, 64], tf.cast(bias, tf.bfloat16))
  np.testing.assert_array_equal(wide_key[..., 65:], tf.zeros([1, 1, 3, 7]))
  np.testing.assert_array_equal(wide_value[..., 64:], tf.zeros([1, 1, 3, 8]))


def test_heads_are_split_and_joined():
  # B = 2, T = 3, P = 2, N = 4, H = 5
  rows = tf.random.normal([2 * 3, 2 * 4 * 5])
  query, key = attention.split_heads(rows, 3, num_projections=2, num_heads=4)
  assert query.shape == key.shape == (2, 4, 3, 5)
  np.testing.assert_array_equal(key[1, 2, 0], rows[3, 20 + 10:20 + 15])
  np.testing.assert_array_equal(attention.join_heads(key), rows[:, 20:])
