"""Tests of the calibration: by hand, and by scikit-learn's curve."""

import math

import numpy as np
import pytest
from sklearn import calibration as sklearn_calibration

from official_ext.evaluation import calibration


def test_by_hand():
  confidences = np.array([0.95, 0.85, 0.65, 0.55, 0.5])
  is_right = np.array([True, False, True, True, False])
  found = calibration.bins(confidences, is_right, num_bins=2)
  # 0.5 is an edge, and belongs to the bin that it ends.
  assert [(one.low, one.high, one.count) for one in found] == [
      (0, 0.5, 1), (0.5, 1, 4)]
  low, high = found
  assert (low.confidence, low.accuracy.value, low.gap) == (0.5, 0, 0.5)
  assert high.confidence == pytest.approx(0.75)
  assert high.accuracy.value == 0.75
  assert calibration.expected_error(found) == pytest.approx(
      1 / 5 * 0.5 + 4 / 5 * 0)
  assert calibration.maximum_error(found) == 0.5


def test_gaps_of_either_sign_and_of_an_empty_bin():
  # Too modest in the first bin, too sure in the third, the others are empty.
  found = calibration.bins(
      np.array([0.2, 0.1, 0.6, 0.7]), np.array([True, True, True, False]), 4)
  assert [one.gap for one in found] == pytest.approx([0.85, 0, 0.15, 0])
  assert calibration.expected_error(found) == pytest.approx(0.5)
  assert calibration.maximum_error(found) == pytest.approx(0.85)


def test_the_ends_belong_to_the_outer_bins():
  found = calibration.bins(np.array([0.0, 1.0]), np.array([False, True]), 4)
  assert [one.count for one in found] == [1, 0, 0, 1]
  assert math.isnan(found[1].confidence) and found[1].accuracy is None
  assert calibration.expected_error(found) == 0


def test_scikit_learn_bins_as_we_do():
  generator = np.random.default_rng(0)
  confidences = generator.uniform(size=400)
  is_right = generator.uniform(size=400) < confidences**2
  found = calibration.bins(confidences, is_right)
  accuracies, means = sklearn_calibration.calibration_curve(
      is_right, confidences, n_bins=15)
  assert [one.confidence for one in found] == pytest.approx(means)
  assert [one.accuracy.value for one in found] == pytest.approx(accuracies)
  counts = np.histogram(confidences, bins=15, range=(0, 1))[0]
  assert calibration.expected_error(found) == pytest.approx(
      np.sum(counts / 400 * np.abs(accuracies - means)))
