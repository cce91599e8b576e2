"""How curves are smoothed."""

from __future__ import annotations

import numpy as np


def smooth(values: np.ndarray, weight: float) -> np.ndarray:
  """Smooths values as TensorBoard does.

  An exponential moving average that begins at 0, over the weights that it has
  summed up so far, so that the first values are not drawn to 0.

  Args:
    values: float [N]. What is not finite stays, and is left out of the
      average.
    weight: of the average so far, from 0 (nothing is smoothed) to below 1.

  Returns:
    Float [N].
  """
  smoothed = np.array(values, np.float64)
  average, count = 0.0, 0
  for index, value in enumerate(smoothed):
    if np.isfinite(value):
      average = weight * average + (1 - weight) * value
      count += 1
      smoothed[index] = average / (1 - weight ** count)
  return smoothed
