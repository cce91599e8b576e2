"""Fixtures shared by the tests of evaluations."""

import numpy as np
import pytest
import records_for_tests

from official_ext.evaluation import evaluated_model
from official_ext.evaluation import mistakes
from official_ext.evaluation import outcomes
from official_ext.evaluation import results
from official_ext.evaluation import run

# Of five images the third and the last are wrong.
_PROBABILITIES = np.array(
    [[0.8, 0.15, 0.05], [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1],
     [0.05, 0.9, 0.05]], np.float32)
_LABELS = np.array([0, 0, 1, 1, 2])


@pytest.fixture(name='by_hand')
def _by_hand():
  """The results of a model of three classes on five images, by their path."""
  def make(path='runs/a', probabilities=_PROBABILITIES):
    logits = np.log(probabilities)
    collector = outcomes.Collector(2)
    worst = mistakes.Worst(3)
    worst.add(np.array([records_for_tests.encode()] * 5, object), _LABELS,
              logits, collector.add(logits, _LABELS))
    model = evaluated_model.EvaluatedModel(
        path, {'kind': 'training', 'step': 7}, None, {},
        ['cat', 'dog', 'eel'], None, None)
    return results.of_evaluation(
        run.Evaluation(model, collector.outcomes(), worst.found()))
  return make
