"""Intervals in which a figure of a sample lies with a confidence of 95 %.

They say how much the images at hand leave open: other images of the same kind
would give another accuracy. What another training would give they do not say.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
# A thousand or two are enough for percentiles: Efron and Tibshirani, An
# Introduction to the Bootstrap, 1993.
_NUM_RESAMPLES = 2_000
# Of a fixed seed: the same images give the same interval.
_SEED = 0
# Values that are drawn at once, 128 MiB of indices.
_MAX_DRAWN = 2**24


@dataclasses.dataclass(frozen=True)
class Estimate:
  """A figure and its interval.

  Attributes:
    value: the figure.
    low: the lower end of the interval.
    high: the upper end.
  """
  value: float
  low: float
  high: float


def proportion(count: int, total: int) -> Estimate:
  """Returns a proportion with Wilson's interval.

  Args:
    count: how many of them.
    total: of how many, 1 at least.

  Returns:
    The proportion, from 0 to 1.
    Wilson (1927), Journal of the American Statistical Association 22, 209.
  """
  interval = stats.binomtest(count, total).proportion_ci(
      CONFIDENCE, method='wilson')
  return Estimate(count / total, float(interval.low), float(interval.high))


def mean(values: np.ndarray) -> Estimate:
  """Returns a mean with its percentile-bootstrap interval.

  Args:
    values: float [N], one per image.

  Returns:
    The mean, in the unit of the values. Of equal values the interval is empty.
  """
  value = float(np.mean(values))
  if np.ptp(values) == 0:
    return Estimate(value, value, value)
  interval = stats.bootstrap(
      (values,), np.mean, vectorized=True, n_resamples=_NUM_RESAMPLES,
      batch=max(1, _MAX_DRAWN // len(values)), method='percentile',
      confidence_level=CONFIDENCE,
      random_state=np.random.default_rng(_SEED)).confidence_interval
  return Estimate(value, float(interval.low), float(interval.high))


def paired_difference(first: np.ndarray, second: np.ndarray) -> Estimate:
  """Returns how much more often `first` is right than `second`.

  Args:
    first: bool [N], of which images a model is right.
    second: the same of another model, of the same images.

  Returns:
    The difference of the accuracies, from -1 to 1, with the bootstrap interval
    over images. Where no image tells the models apart there is nothing to
    resample: then with what Clopper and Pearson leave open, that up to so many
    images would.
  """
  differences = first.astype(np.float64) - second.astype(np.float64)
  if differences.any():
    return mean(differences)
  unseen = stats.binomtest(0, len(differences)).proportion_ci(CONFIDENCE).high
  return Estimate(0.0, -float(unseen), float(unseen))


def mcnemar(first: np.ndarray, second: np.ndarray) -> float:
  """Returns the p-value of McNemar's test, exact.

  Args:
    first: bool [N], of which images a model is right.
    second: the same of another model, of the same images.

  Returns:
    The probability that two equally good models differ at least so much; 1
    where they are right about the same images.
  """
  num_first = int(np.count_nonzero(first & ~second))
  num_second = int(np.count_nonzero(second & ~first))
  if not num_first + num_second:
    return 1.0
  return float(stats.binomtest(num_first, num_first + num_second).pvalue)
