"""Tests of one reading of the records for one model or two."""

import dataclasses

import numpy as np
import pytest
import records_for_tests

from official_ext.evaluation import evaluated_model
from official_ext.evaluation import run
from official_ext.params import experiment
from official_ext.trained import validation_data


@pytest.fixture(name='model')
def _model():
  """One that takes every image for the second class, the fourth is next."""
  task = experiment.base('funnel_vit_digits').task.replace(
      model={'num_classes': 4})
  return evaluated_model.EvaluatedModel(
      'runs/a', {'kind': 'training'}, task, {}, list('abcd'),
      lambda batch: np.tile(
          np.float32([0, 3, 1, 2]), [len(batch.labels), 1]),
      lambda logits, labels: float(np.mean(labels)))


@pytest.fixture(name='source')
def _source(model, tmp_path):
  labels = [index % 4 for index in range(70)]
  path = records_for_tests.write(
      tmp_path / 'validation', map(records_for_tests.example, labels))
  return validation_data.find(model.task, path)


def test_every_image_is_read_once(model, source):
  found, = run.evaluate([model], source, None, 2, 5)
  outcomes = found.outcomes
  assert outcomes.labels.tolist() == [index % 4 for index in range(70)]
  assert outcomes.top_classes.tolist() == [[1, 3]] * 70
  assert outcomes.loss == pytest.approx(np.mean(outcomes.labels))
  # Of equal mistakes the first; class 0 is the least probable.
  assert [one.number for one in found.mistakes] == [0, 4, 8, 12, 16]


def test_what_is_right_is_no_mistake(model, source):
  found, = run.evaluate([model], source, None, 2, 70)
  # By how little the class of each is probable: 0, then 2, then 3.
  assert [(one.label, one.predicted) for one in found.mistakes] == (
      [(0, 1)] * 18 + [(2, 1)] * 17 + [(3, 1)] * 17)


def test_some_of_them(model, source):
  found, = run.evaluate([model], source, 33, 9, 0)
  assert found.outcomes.labels.tolist() == [index % 4 for index in range(33)]
  # There are no more than four classes.
  assert found.outcomes.top_classes.shape == (33, 4)
  assert found.mistakes == []


def test_two_models_read_the_same_images(model, source):
  other = dataclasses.replace(model, path='runs/b', logits=lambda batch: (
      np.eye(4, dtype=np.float32)[batch.labels]))
  first, second = run.evaluate([model, other], source, 40, 1, 0)
  assert first.outcomes.labels.tolist() == second.outcomes.labels.tolist()
  assert first.outcomes.is_right().sum() == 10
  assert second.outcomes.is_right().all()


def test_models_of_other_classes_are_refused(model, source):
  other = dataclasses.replace(
      model, path='runs/b', class_names=['a', 'b', 'd', 'c'])
  with pytest.raises(ValueError, match=(
      "a record is of class 'c' of runs/a, but of class 'd' of runs/b. Com")):
    run.evaluate([model, other], source, None, 1, 0)


def test_the_same_class_may_have_another_number(model):
  other = dataclasses.replace(model, class_names=['a', 'b', 'd', 'c'])
  run._check_same(model, np.array([0, 2]), other, np.array([0, 3]))
  with pytest.raises(ValueError, match="'c' of runs/a, but of class 'd' of"):
    run._check_same(model, np.array([0, 2]), other, np.array([0, 2]))


def test_the_bar_knows_how_many_come(source, tmp_path):
  assert run._total(source, None) == 70
  assert run._total(source, 40) == 40
  assert run._total(source, 400) == 70
  remote = dataclasses.replace(source, file_type='tfrecord_compressed')
  assert run._total(remote, None) is None
  assert run._total(remote, 400) == 400
