"""Tests of the evaluation of models of several labels per image."""

import csv
import json
import os

import numpy as np
import pytest
import records_for_tests
import tf_keras

from official_ext.evaluation import evaluated_model
from official_ext.evaluation import multilabel
from official_ext.params import experiment
from official_ext.trained import validation_data

# Ten times: more than a batch. Of the last class there is no image.
LABELS = 10 * [[0, 2], [1], [2], [0, 1]]
# The first class is missed once, the second is found once too often.
LOGITS = np.float32(10 * [
    [5, -5, 4, -5], [-5, 3, -5, -5], [-5, 1, 5, -5], [-5, 2, -4, -5]])
MEANS = {'precision': 8 / 9, 'recall': 5 / 6, 'f1': (2 / 3 + 0.8 + 1) / 3}


@pytest.fixture(name='make', scope='module')
def _make(tmp_path_factory):
  task = experiment.base('funnel_vit_digits').task.replace(
      model={'num_classes': 4}, train_data={'is_multilabel': True})
  path = records_for_tests.write(
      tmp_path_factory.mktemp('data') / 'validation',
      map(records_for_tests.example, LABELS))

  def make(num_images=None):
    batches = []

    def answer(batch):
      batches.append(batch)
      return LOGITS[sum(len(one.labels) for one in batches[:-1]):][
          :len(batch.labels)]

    model = evaluated_model.EvaluatedModel(
        'runs/a', {'kind': 'training', 'step': 7}, task, {},
        ['cat', 'dog', 'eel', 'fox'], answer,
        # The size of the batch, of the most probable class and of its label.
        lambda logits, labels: float(
            len(labels) + logits.max() + 10 * labels.max()))
    return multilabel.evaluate(
        model, validation_data.find(task, path), num_images)
  return make


@pytest.fixture(name='found', scope='module')
def _found(make):
  return make()


def test_by_hand(found):
  assert found.num_images == 40
  # The mean over the images of batches of 32 and of 8.
  assert found.loss == pytest.approx((32 * (32 + 15) + 8 * (8 + 15)) / 40)
  cat, dog, eel, fox = found.classes
  assert (cat.count, cat.predicted, cat.precision, cat.recall) == (
      20, 10, 1, 0.5)
  assert (dog.count, dog.predicted, dog.recall) == (20, 30, 1)
  assert dog.precision == pytest.approx(2 / 3)
  assert (eel.precision, eel.recall, eel.f1) == (1, 1, 1)
  assert (fox.count, fox.predicted) == (0, 0) and np.isnan(fox.precision)
  assert [one.name for one in found.classes] == ['cat', 'dog', 'eel', 'fox']


def test_the_areas_are_those_of_all_batches(found):
  truth = np.zeros([40, 4], np.float32)
  for row, labels in zip(truth, LABELS):
    row[labels] = 1
  areas = {}
  for name, multi_label in (('globalPR-AUC', False), ('meanPR-AUC', True)):
    area = tf_keras.metrics.AUC(
        curve='PR', multi_label=multi_label, from_logits=True,
        num_labels=4 if multi_label else None)
    area.update_state(truth, LOGITS)
    areas[name] = float(area.result())
  assert found.metrics == pytest.approx(areas, rel=1e-6)
  assert 0.7 < areas['globalPR-AUC'] < 0.95
  assert areas['meanPR-AUC'] != pytest.approx(areas['globalPR-AUC'], abs=0.01)


def test_some_of_the_images(make):
  found = make(33)
  assert found.num_images == 33
  assert [one.count for one in found.classes] == [17, 16, 17, 0]


def test_the_table(found):
  rows = [('', 'runs/a'), ('loss', '42.2000'),
          *((name, f'{value:.4f}') for name, value in found.metrics.items()),
          ('precision, mean of classes', '88.89 %'),
          ('recall, mean of classes', '83.33 %'),
          ('F1, mean of classes', '82.22 %')]
  assert multilabel.as_text(found).splitlines() == [
      '40 images; a class counts as predicted at a probability above one half',
      '', *(f'{name:26}  {value:>7}' for name, value in rows)]


def test_what_is_written(found, tmp_path):
  multilabel.write(str(tmp_path), found, 'data*')
  assert sorted(os.listdir(tmp_path)) == [
      'classes.csv', 'evaluation.json', 'summary.csv']
  described = json.loads((tmp_path / 'evaluation.json').read_text())
  classes = described.pop('classes')
  model = described.pop('model')
  figures = {'loss': found.loss, **found.metrics, **{
      f'mean_{name}': pytest.approx(value) for name, value in MEANS.items()}}
  assert described == {
      'format_version': 1, 'data': 'data*', 'num_images': 40, **figures}
  assert model == {'path': 'runs/a', 'kind': 'training', 'step': 7}
  assert classes[1] == {
      'number': 1, 'name': 'dog', 'count': 20, 'predicted': 30,
      'precision': pytest.approx(2 / 3), 'recall': 1, 'f1': pytest.approx(0.8)}
  # JSON has no NaN.
  assert len(classes) == 4 and classes[3]['recall'] is None
  with open(tmp_path / 'summary.csv', encoding='utf-8', newline='') as file:
    header, *rows = csv.reader(file)
  assert header == ['model', 'figure', 'value']
  assert [row[:2] for row in rows] == [['runs/a', name] for name in figures]
  assert {name: float(value) for _, name, value in rows} == figures
  with open(tmp_path / 'classes.csv', encoding='utf-8', newline='') as file:
    assert [row['name'] for row in csv.DictReader(file)] == [
        'cat', 'dog', 'eel', 'fox']
