"""Two models on the same images: is one better, or is it chance?

Legend: N images.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np

from official_ext.evaluation import intervals
from official_ext.evaluation import outcomes as outcomes_lib


@dataclasses.dataclass(frozen=True)
class Comparison:
  """A model beside its baseline.

  Attributes:
    differences: of the top-k accuracies, model less baseline, by k.
    cross_entropy: the difference of the mean cross-entropies, model less
      baseline: below 0 the model is better.
    both: images that both are right about.
    only_model: images that the model alone is right about.
    only_baseline: images that the baseline alone is right about.
    neither: images that both are wrong about.
    p_value: of McNemar's test, exact: the probability that two equally good
      models differ at least so much.
  """
  differences: dict[int, intervals.Estimate]
  cross_entropy: intervals.Estimate
  both: int
  only_model: int
  only_baseline: int
  neither: int
  p_value: float


def compare(model: outcomes_lib.Outcomes, baseline: outcomes_lib.Outcomes,
            ks: Sequence[int]) -> Comparison:
  """Compares a model with its baseline, image by image.

  Args:
    model: what the model answered about N images.
    baseline: what the baseline answered about the same.
    ks: which accuracies to compare, such as top-1 and top-5.

  Returns:
    The comparison.
  """
  first, second = model.is_right(), baseline.is_right()

  def count(is_so):
    return int(np.count_nonzero(is_so))

  return Comparison(
      {k: intervals.paired_difference(model.is_right(k), baseline.is_right(k))
       for k in ks},
      intervals.mean(model.cross_entropies.astype(np.float64) -
                     baseline.cross_entropies),
      count(first & second), count(first & ~second), count(second & ~first),
      count(~first & ~second), intervals.mcnemar(first, second))
