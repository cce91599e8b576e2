"""Tests of the evaluation of models of several labels per image."""

import csv
import json
import os

import numpy as np
import pytest
import records_for_tests

from official_ext.evaluation import evaluated_model
from official_ext.evaluation import multilabel
from official_ext.params import experiment
from official_ext.trained import validation_data

LABELS = [[0, 2], [1], [2], [0, 1]]
# The first class is missed once, the second is found once too often.
LOGITS = np.float32([[5, -5, 5], [-5, 5, -5], [-5, 5, 5], [-5, 5, -5]])


@pytest.fixture(name='found', scope='module')
def _found(tmp_path_factory):
  task = experiment.base('funnel_vit_digits').task.replace(
      model={'num_classes': 3}, train_data={'is_multilabel': True})
  path = records_for_tests.write(
      tmp_path_factory.mktemp('data') / 'validation',
      map(records_for_tests.example, LABELS))
  model = evaluated_model.EvaluatedModel(
      'runs/a', {'kind': 'training'}, task, {}, ['cat', 'dog', 'eel'],
      lambda batch: LOGITS, lambda logits, labels: float(labels.sum()))
  return multilabel.evaluate(
      model, validation_data.find(task, path), None)


def test_by_hand(found):
  assert found.num_images == 4
  assert found.loss == 6
  cat, dog, eel = found.classes
  assert (cat.count, cat.predicted, cat.precision, cat.recall) == (2, 1, 1, 0.5)
  assert (dog.count, dog.predicted, dog.recall) == (2, 3, 1)
  assert dog.precision == pytest.approx(2 / 3)
  assert (eel.precision, eel.recall, eel.f1) == (1, 1, 1)
  # Of the third class both areas are one; of all, six of twelve are positive,
  # five of them among the six that come first.
  assert set(found.metrics) == {'globalPR-AUC', 'meanPR-AUC'}
  assert 0.7 < found.metrics['globalPR-AUC'] < 0.95


def test_what_is_written(found, tmp_path):
  multilabel.write(str(tmp_path), found, 'data*')
  assert sorted(os.listdir(tmp_path)) == [
      'classes.csv', 'evaluation.json', 'summary.csv']
  described = json.loads((tmp_path / 'evaluation.json').read_text())
  assert described['mean_recall'] == pytest.approx(2.5 / 3)
  assert described['classes'][1]['predicted'] == 3
  with open(tmp_path / 'summary.csv', encoding='utf-8', newline='') as file:
    figures = {row['figure']: row['value'] for row in csv.DictReader(file)}
  assert figures['loss'] == '6.0'
  assert float(figures['meanPR-AUC']) == found.metrics['meanPR-AUC']
  text = multilabel.as_text(found)
  assert text.startswith('4 images; a class counts as predicted at')
  assert 'recall, mean of classes' in text and '83.33 %' in text
