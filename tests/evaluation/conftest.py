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
# Only the first is right; the third alone is not among the first two.
_OF_BASELINE = np.array(
    [[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.5, 0.1, 0.4], [0.6, 0.3, 0.1],
     [0.1, 0.6, 0.3]], np.float32)


@pytest.fixture(name='by_hand')
def _by_hand():
  """The results of a model of three classes on five images, by their path."""
  def make(path='runs/a', probabilities=_PROBABILITIES, top_k=2, loss=None):
    logits = np.log(probabilities)
    collector = outcomes.Collector(top_k, loss and (lambda *batch: loss))
    worst = mistakes.Worst(3)
    worst.add(np.array([records_for_tests.encode()] * 5, object), _LABELS,
              logits, collector.add(logits, _LABELS))
    model = evaluated_model.EvaluatedModel(
        path, {'kind': 'training', 'step': 7}, None, {},
        ['cat', 'dog', 'eel'], None, None)
    return results.of_evaluation(
        run.Evaluation(model, collector.outcomes(), worst.found()))
  return make


@pytest.fixture(name='two_by_hand')
def _two_by_hand(by_hand):
  """A model and a baseline, which differ in every figure."""
  return by_hand(loss=1.25), by_hand('runs/b', _OF_BASELINE, loss=2.5)
