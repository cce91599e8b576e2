"""Tests of pooling: values by hand and by NumPy."""

import numpy as np
import numpy_reference
import pytest
import tensorflow as tf

from official_ext.modeling import token_ops

pytestmark = pytest.mark.numerics


def sequence(*values):
  """One image with tokens of size 1."""
  return tf.constant([[[float(value)] for value in values]])


def test_mean_pooling_leaves_the_class_token_alone():
  tokens = sequence(100, 1, 3, 5, 7)
  pooled = token_ops.pool_tokens(tokens, (4,), (2,), 'mean', 1)
  np.testing.assert_array_equal(pooled, sequence(100, 2, 6))


def test_max_pooling_leaves_the_class_token_alone():
  tokens = sequence(-9, 1, -3, -5, -7)
  pooled = token_ops.pool_tokens(tokens, (4,), (2,), 'max', 1)
  np.testing.assert_array_equal(pooled, sequence(-9, 1, -5))


def test_without_a_class_token_every_token_is_pooled():
  pooled = token_ops.pool_tokens(
      sequence(1, 3, 5, 7), (4,), (2,), 'mean', 0)
  np.testing.assert_array_equal(pooled, sequence(2, 6))


def test_a_short_last_window_is_pooled_over_what_it_holds():
  tokens = sequence(0, 1, 3, 5, 7, 9, 20, 30)
  np.testing.assert_array_equal(
      token_ops.pool_tokens(tokens, (7,), (3,), 'mean', 1),
      sequence(0, 3, 12, 30))
  np.testing.assert_array_equal(
      token_ops.pool_tokens(-tokens, (7,), (4,), 'max', 1),
      sequence(0, -1, -9))


def test_grid_windows_by_hand():
  # Rows 1 2 3 / 4 5 6 / 7 8 9.
  patches = sequence(*range(1, 10))
  pool = lambda window: token_ops.pool_patches(  # noqa: E731
      patches, (3, 3), window, 'mean')
  np.testing.assert_array_equal(pool((1, 2)), sequence(1.5, 3, 4.5, 6, 7.5, 9))
  np.testing.assert_array_equal(
      pool((2, 1)), sequence(2.5, 3.5, 4.5, 7, 8, 9))
  np.testing.assert_array_equal(pool((2, 2)), sequence(3, 4.5, 7.5, 9))


def test_a_side_shorter_than_its_window():
  patches = sequence(1, 2, 3)
  np.testing.assert_array_equal(
      token_ops.pool_patches(patches, (1, 3), (2, 2), 'mean'),
      sequence(1.5, 3))


def test_pooled_tokens_are_repeated_in_their_windows():
  np.testing.assert_array_equal(
      token_ops.repeat_in_windows(sequence(1, 2, 3), (5,), (2,)),
      sequence(1, 1, 2, 2, 3))
  np.testing.assert_array_equal(
      token_ops.repeat_in_windows(sequence(1, 2, 3, 4), (3, 3), (2, 2)),
      sequence(1, 1, 2, 1, 1, 2, 3, 3, 4))
  np.testing.assert_array_equal(
      token_ops.repeat_in_windows(sequence(1, 2), (2, 2), (1, 2)),
      sequence(1, 1, 2, 2))


@pytest.mark.parametrize('side', [14, 24])
@pytest.mark.parametrize('pooling', ['mean', 'max'])
@pytest.mark.parametrize('window', [(2,), (3,), (4,), (1, 2), (2, 1), (2, 2)])
def test_agrees_with_numpy(side, pooling, window):
  patch_shape = (side * side,) if len(window) == 1 else (side, side)
  tokens = np.random.default_rng(0).normal(size=(2, side * side + 1, 5))
  pooled = token_ops.pool_tokens(
      tf.constant(tokens), patch_shape, window, pooling, 1)
  for image in range(2):
    expected = numpy_reference.pool(
        tokens[image], patch_shape, window, pooling, 1)
    np.testing.assert_allclose(pooled[image], expected, rtol=0, atol=1e-12)


def pooled_windows(side, pool_axes, times):
  """The patches behind every token after pooling `times` times, by value.

  Each patch carries a one-hot vector; after a max pool a token carries a 1 for
  every patch it stands for.
  """
  tokens = tf.eye(side * side)[tf.newaxis]
  shape = (side * side,) if pool_axes == 'sequence' else (side, side)
  for index in range(times):
    window = (2,) if pool_axes == 'sequence' else [(1, 2), (2, 1)][index % 2]
    tokens = token_ops.pool_patches(tokens, shape, window, 'max')
    shape = tuple(-(-a // b) for a, b in zip(shape, window))
  return [frozenset(np.flatnonzero(row)) for row in tokens[0].numpy()]


def rows_of(window, side):
  return {int(patch) // side for patch in window}


def test_sequence_windows_cross_rows_at_14_but_not_at_24():
  once = pooled_windows(14, 'sequence', 1)
  assert once[0] == {0, 1} and once[7] == {14, 15}
  assert all(len(rows_of(window, 14)) == 1 for window in once)
  twice = pooled_windows(14, 'sequence', 2)
  crossing = [window for window in twice if len(rows_of(window, 14)) == 2]
  assert len(twice) == 49 and len(crossing) == 7
  # The right edge of the first row with the left edge of the second.
  assert crossing[0] == {12, 13, 14, 15}
  twice_at_24 = pooled_windows(24, 'sequence', 2)
  assert all(len(rows_of(window, 24)) == 1 for window in twice_at_24)


@pytest.mark.parametrize('side', [14, 24])
def test_grid_windows_are_squares_after_two_pools(side):
  windows = pooled_windows(side, 'grid', 2)
  assert windows[0] == {0, 1, side, side + 1}
  assert windows[side // 2] == {
      2 * side, 2 * side + 1, 3 * side, 3 * side + 1}
  assert len(windows) == (side // 2)**2
