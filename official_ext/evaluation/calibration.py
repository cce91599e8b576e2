"""Whether a model is right as often as it is sure.

Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599,
section 2: predictions are binned by their confidence, the probability of the
predicted class, and in each bin it is compared with the accuracy.

Legend: N images.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools
import math

import numpy as np

from official_ext.evaluation import intervals

# As in the paper, section 4.
NUM_BINS = 15


@dataclasses.dataclass(frozen=True)
class Bin:
  """The images of which a model is about equally sure.

  Attributes:
    low: confidences above this, from 0 to 1; in the first bin also 0.
    high: up to this.
    count: images.
    confidence: their mean confidence; NaN if there are none.
    accuracy: the part that is right, with its interval; None if there are
      none.
  """
  low: float
  high: float
  count: int
  confidence: float
  accuracy: intervals.Estimate | None

  @property
  def gap(self) -> float:
    """How far confidence and accuracy are apart; 0 of an empty bin."""
    if self.accuracy is None:
      return 0.0
    return abs(self.confidence - self.accuracy.value)


def bins(confidences: np.ndarray, is_right: np.ndarray,
         num_bins: int = NUM_BINS) -> list[Bin]:
  """Bins predictions by their confidence, in bins of equal width.

  Args:
    confidences: from 0 to 1, [N].
    is_right: bool [N].
    num_bins: how many.

  Returns:
    The bins, the least sure first.
  """
  edges = np.linspace(0, 1, num_bins + 1)
  # A confidence that is an edge belongs to the bin that ends there.
  index = np.clip(np.searchsorted(edges, confidences, side='left') - 1,
                  0, num_bins - 1)
  found = []
  for number, (low, high) in enumerate(itertools.pairwise(edges)):
    inside = index == number
    count = int(np.count_nonzero(inside))
    found.append(Bin(
        float(low), float(high), count,
        float(np.mean(confidences[inside], dtype=np.float64)) if count
        else math.nan,
        intervals.proportion(int(np.count_nonzero(is_right[inside])), count)
        if count else None))
  return found


def expected_error(found: Sequence[Bin]) -> float:
  """Returns the expected calibration error (ECE), from 0 to 1.

  Args:
    found: the bins, not all of them empty.

  Returns:
    The mean gap of the bins, each weighted by its images.
  """
  total = sum(one.count for one in found)
  return sum(one.count * one.gap for one in found) / total


def maximum_error(found: Sequence[Bin]) -> float:
  """Returns the maximum calibration error, the largest gap of a bin."""
  return max(one.gap for one in found)
