"""Tests of smoothing."""

import numpy as np

from official_ext.analysis import smoothing


def test_by_hand():
  # 0.4 * 1 / 0.4; (0.6 * 0.4 + 0.4 * 3) / (1 - 0.36); and so on.
  np.testing.assert_allclose(
      smoothing.smooth(np.array([1.0, 3.0, 2.0]), 0.6),
      [1, 1.44 / 0.64, (0.6 * 1.44 + 0.8) / 0.784])


def test_nothing_is_smoothed_by_0():
  values = np.array([1.0, 3.0, 2.0])
  np.testing.assert_array_equal(smoothing.smooth(values, 0), values)


def test_a_constant_stays():
  np.testing.assert_allclose(
      smoothing.smooth(np.full(50, 7.0), 0.999), np.full(50, 7.0))


def test_what_is_not_finite_is_left_out_of_the_average():
  smoothed = smoothing.smooth(np.array([1.0, np.nan, np.inf, 3.0]), 0.5)
  np.testing.assert_allclose(smoothed, [1, np.nan, np.inf, 1.75 / 0.75])
