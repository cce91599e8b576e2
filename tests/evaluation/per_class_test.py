"""Tests of precision, recall and F1, by hand."""

import math

import numpy as np
import pytest

from official_ext.evaluation import per_class

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 0, 0])


def test_by_hand():
  found = per_class.of_predictions(LABELS, PREDICTED, 'abcd')
  assert [(one.number, one.name, one.count, one.predicted)
          for one in found] == [
              (0, 'a', 3, 4), (1, 'b', 2, 2), (2, 'c', 1, 0), (3, 'd', 0, 0)]
  first, second, third, fourth = found
  assert (first.precision, first.recall) == (2 / 4, pytest.approx(2 / 3))
  assert first.f1 == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
  assert (second.precision, second.recall, second.f1) == (0.5, 0.5, 0.5)
  # Never predicted: nothing is known of its precision.
  assert math.isnan(third.precision)
  assert (third.recall, third.f1) == (0, 0)
  assert all(map(math.isnan, (fourth.precision, fourth.recall, fourth.f1)))


def test_means_over_the_classes_that_have_a_figure():
  found = per_class.of_predictions(LABELS, PREDICTED, 'abcd')
  assert per_class.macro_average(found, 'precision') == pytest.approx(0.5)
  assert per_class.macro_average(found, 'recall') == pytest.approx(
      (2 / 3 + 1 / 2 + 0) / 3)
  assert math.isnan(per_class.macro_average(found[3:], 'f1'))


def test_several_labels_per_image():
  labels = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], bool)
  predicted = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0]], bool)
  first, second, third = per_class.of_predictions(labels, predicted, 'abc')
  assert (first.count, first.predicted, first.precision, first.recall) == (
      2, 1, 1, 0.5)
  assert (second.count, second.predicted, second.precision, second.recall) == (
      2, 2, 0.5, 0.5)
  assert math.isnan(third.recall)
