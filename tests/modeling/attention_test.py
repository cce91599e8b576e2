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


def test_heads_are_split_and_joined():
  # B = 2, T = 3, P = 2, N = 4, H = 5
  rows = tf.random.normal([2 * 3, 2 * 4 * 5])
  query, key = attention.split_heads(rows, 3, num_projections=2, num_heads=4)
  assert query.shape == key.shape == (2, 4, 3, 5)
  np.testing.assert_array_equal(key[1, 2, 0], rows[3, 20 + 10:20 + 15])
  np.testing.assert_array_equal(attention.join_heads(key), rows[:, 20:])
