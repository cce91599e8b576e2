"""Tests of the comparison of two models, by hand."""

import numpy as np
import pytest

from official_ext.evaluation import intervals
from official_ext.evaluation import outcomes
from official_ext.evaluation import paired


def answers(predicted, second, cross_entropies):
  """Images of class 0, with the two most probable classes."""
  top = np.stack([predicted, second], axis=1)
  return outcomes.Outcomes(
      np.zeros([len(predicted)], np.int32), top, np.full(top.shape, 0.5),
      np.exp(-np.array(cross_entropies)), np.array(cross_entropies, np.float32),
      None)


def test_by_hand():
  model = answers([0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 0, 2],
                  [0.1, 0.1, 0.1, 0.1, 2, 2])
  baseline = answers([0, 1, 1, 1, 0, 1], [1, 0, 0, 2, 1, 2],
                     [0.1, 2, 2, 2, 0.1, 2])
  found = paired.compare(model, baseline, [1, 2])
  assert (found.both, found.only_model, found.only_baseline,
          found.neither) == (1, 3, 1, 1)
  assert found.differences[1].value == pytest.approx((4 - 2) / 6)
  assert found.differences[2].value == pytest.approx((5 - 4) / 6)
  assert found.differences[1] == intervals.paired_difference(
      model.is_right(), baseline.is_right())
  # One head or none of four tosses, in both tails: 2 * (1 + 4) / 16.
  assert found.p_value == pytest.approx(10 / 16)
  assert found.cross_entropy.value == pytest.approx(
      (4 * 0.1 + 2 * 2 - (2 * 0.1 + 4 * 2)) / 6, rel=1e-6)
  assert found.cross_entropy.low < found.cross_entropy.value
