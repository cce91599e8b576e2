"""All figures of an evaluation, from what a model answered.

Legend: N images, C classes.
"""

from __future__ import annotations

import dataclasses

from scipy import sparse

from official_ext.evaluation import calibration
from official_ext.evaluation import confusion
from official_ext.evaluation import evaluated_model
from official_ext.evaluation import intervals
from official_ext.evaluation import mistakes as mistakes_lib
from official_ext.evaluation import outcomes as outcomes_lib
from official_ext.evaluation import paired
from official_ext.evaluation import per_class
from official_ext.evaluation import run


@dataclasses.dataclass(frozen=True)
class Results:
  """The figures of a model.

  Attributes:
    model: the model.
    outcomes: what it answered.
    mistakes: the worst, the worst first.
    accuracies: top-k, by k, less than C.
    cross_entropy: the mean over the images.
    classes: precision, recall and F1 of every class.
    confusion: int [C, C], images by label and prediction.
    bins: of the calibration.
  """
  model: evaluated_model.EvaluatedModel
  outcomes: outcomes_lib.Outcomes
  mistakes: list[mistakes_lib.Mistake]
  accuracies: dict[int, intervals.Estimate]
  cross_entropy: intervals.Estimate
  classes: list[per_class.ClassFigures]
  confusion: sparse.csr_array
  bins: list[calibration.Bin]

  @property
  def num_images(self) -> int:
    """N."""
    return len(self.outcomes.labels)


def of_evaluation(evaluation: run.Evaluation) -> Results:
  """Computes the figures of a model.

  Args:
    evaluation: what it answered.

  Returns:
    The figures.
  """
  outcomes = evaluation.outcomes
  names = evaluation.model.class_names
  total = len(outcomes.labels)
  # Among all classes the right one always is, which says nothing.
  ks = sorted({1, min(outcomes.top_classes.shape[1], max(1, len(names) - 1))})
  return Results(
      evaluation.model, outcomes, evaluation.mistakes,
      {k: intervals.proportion(int(outcomes.is_right(k).sum()), total)
       for k in ks},
      intervals.mean(outcomes.cross_entropies.astype('float64')),
      per_class.of_predictions(outcomes.labels, outcomes.predicted, names),
      confusion.matrix(outcomes.labels, outcomes.predicted, len(names)),
      calibration.bins(outcomes.confidences, outcomes.is_right()))


def compare(model: Results, baseline: Results) -> paired.Comparison:
  """Compares a model with its baseline, by the accuracies that both have."""
  return paired.compare(
      model.outcomes, baseline.outcomes,
      sorted(set(model.accuracies) & set(baseline.accuracies)))
