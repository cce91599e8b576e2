"""Precision, recall and F1 of every class.

Legend: N images, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math

import numpy as np
from sklearn import metrics


@dataclasses.dataclass(frozen=True)
class ClassFigures:
  """The figures of a class.

  Attributes:
    number: of the class.
    name: of the class.
    count: images that have it.
    predicted: images that it was predicted for.
    precision: the part of those that have it; NaN if there is none.
    recall: the part of its images that it was predicted for; NaN if it has
      none.
    f1: the harmonic mean of both; NaN if it neither has images nor was
      predicted.
  """
  number: int
  name: str
  count: int
  predicted: int
  precision: float
  recall: float
  f1: float


def of_predictions(labels: np.ndarray, predicted: np.ndarray,
                   names: Sequence[str]) -> list[ClassFigures]:
  """Computes the figures of every class.

  Args:
    labels: int [N]; or of several labels per image, bool [N, C].
    predicted: the same, as predicted.
    names: of the C classes.

  Returns:
    The figures, in the order of the classes.
  """
  precision, recall, f1, counts = metrics.precision_recall_fscore_support(
      labels, predicted, labels=range(len(names)), zero_division=np.nan)
  if labels.ndim == 1:
    predicted_counts = np.bincount(predicted, minlength=len(names))
  else:
    predicted_counts = predicted.sum(axis=0)
  return [
      ClassFigures(number, name, *(int(values[number]) for values in (
          counts, predicted_counts)), *(float(values[number]) for values in (
              precision, recall, f1)))
      for number, name in enumerate(names)]


def macro_average(classes: Sequence[ClassFigures], name: str) -> float:
  """Returns the mean of a figure over the classes that have it.

  Args:
    classes: the figures.
    name: 'precision', 'recall' or 'f1'.

  Returns:
    The mean; NaN if no class has it.
  """
  values = [getattr(one, name) for one in classes]
  known = [value for value in values if not math.isnan(value)]
  return sum(known) / len(known) if known else math.nan
