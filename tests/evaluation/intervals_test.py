"""Tests of intervals: by their formulas, and by what resampling must give."""

import math

import numpy as np
import pytest
from scipy import stats

from official_ext.evaluation import intervals

Z = 1.959963984540054  # Of the normal distribution at 97.5 %.


@pytest.mark.parametrize('count, total', [(8, 10), (0, 10), (10, 10), (1, 1),
                                          (353, 360), (38_123, 50_000)])
def test_the_proportion_has_wilsons_interval(count, total):
  found = intervals.proportion(count, total)
  share = count / total
  middle = (share + Z**2 / (2 * total)) / (1 + Z**2 / total)
  margin = Z / (1 + Z**2 / total) * math.sqrt(
      share * (1 - share) / total + Z**2 / (4 * total**2))
  assert found.value == share
  assert found.low == pytest.approx(middle - margin, abs=1e-12)
  assert found.high == pytest.approx(middle + margin, abs=1e-12)


def test_the_mean_has_the_interval_of_resampling():
  # What resampling 30 of 100 gives is known: a binomial distribution.
  values = np.repeat([1.0, 0.0], [30, 70])
  found = intervals.mean(values)
  assert found.value == pytest.approx(0.3)
  low, high = stats.binom.ppf([0.025, 0.975], 100, 0.3) / 100
  assert found.low == pytest.approx(low, abs=0.011)
  assert found.high == pytest.approx(high, abs=0.011)
  assert intervals.mean(values) == found


def test_nothing_is_left_open_by_equal_values():
  assert intervals.mean(np.full([5], 2.5)) == intervals.Estimate(2.5, 2.5, 2.5)


def test_a_paired_difference():
  first = np.array([True] * 90 + [False] * 10)
  second = np.array([True] * 80 + [False] * 20)
  found = intervals.paired_difference(first, second)
  assert found.value == pytest.approx(0.1)
  # Ten of a hundred tell them apart: binomial again.
  assert [found.low, found.high] == pytest.approx(
      stats.binom.ppf([0.025, 0.975], 100, 0.1) / 100, abs=0.011)
  mirrored = intervals.paired_difference(second, first)
  assert mirrored.value == pytest.approx(-0.1)
  assert mirrored.high < 0 < found.low


def test_models_that_are_right_about_the_same_images():
  same = np.array([True, False] * 50)
  found = intervals.paired_difference(same, same)
  # Clopper and Pearson: (1 - p)^100 = 2.5 %.
  unseen = 1 - 0.025 ** (1 / 100)
  assert found.value == 0
  assert [found.low, found.high] == pytest.approx([-unseen, unseen])
  assert intervals.mcnemar(same, same) == 1


def test_mcnemar_by_hand():
  first = np.array([True] * 8 + [False] * 2 + [True] * 5)
  second = np.array([False] * 8 + [True] * 2 + [True] * 5)
  # Both tails of ten tosses with at most two heads: 2 * (1 + 10 + 45) / 1024.
  assert intervals.mcnemar(first, second) == pytest.approx(112 / 1024)
  assert intervals.mcnemar(second, first) == pytest.approx(112 / 1024)
