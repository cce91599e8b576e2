"""Tests of the figures as a table and as JSON: values by hand."""

import json

import numpy as np
import pytest

from official_ext.evaluation import intervals
from official_ext.evaluation import results
from official_ext.evaluation import summary


def test_json(by_hand):
  found = by_hand()
  described = summary.as_json(found)
  assert described['model'] == {
      'path': 'runs/a', 'kind': 'training', 'step': 7}
  wilson = intervals.proportion(3, 5)
  assert described['accuracy']['top_1'] == {
      'value': 0.6, 'low': wilson.low, 'high': wilson.high}
  assert described['accuracy']['top_2']['value'] == 0.8
  assert described['cross_entropy']['value'] == pytest.approx(
      -np.log([0.8, 0.6, 0.4, 0.8, 0.05]).mean())
  assert described['loss'] is None
  # Precision 2/3 and 1/2; the third class is never predicted.
  assert described['mean_of_classes']['precision'] == pytest.approx(7 / 12)
  assert described['mean_of_classes']['recall'] == pytest.approx(1 / 2)
  # Two confidences of 0.8 are one bin, all others their own.
  assert described['calibration']['expected_error'] == pytest.approx(
      (2 * 0.2 + 0.4 + 0.5 + 0.9) / 5)
  assert described['calibration']['maximum_error'] == pytest.approx(0.9)
  assert described['confusion'] == [
      {'label': 0, 'predicted': 0, 'count': 2},
      {'label': 1, 'predicted': 0, 'count': 1},
      {'label': 1, 'predicted': 1, 'count': 1},
      {'label': 2, 'predicted': 1, 'count': 1}]
  assert [one['number'] for one in described['mistakes']] == [4, 2]
  # Without NaN, which is no JSON.
  assert described['classes'][2]['precision'] is None
  json.dumps(described, allow_nan=False)


def test_the_table(by_hand):
  lines = summary.as_text(by_hand()).splitlines()
  assert lines[0].startswith('5 images; ')
  cells = [line.split('  ') for line in lines]
  values = {row[0]: row[-1].strip() for row in cells if len(row) > 1}
  assert values['top-1'] == '60.00 % [23.07, 88.24]'
  assert values['loss'] == '-'
  assert values['precision, mean of classes'] == '58.33 %'
  assert values['calibration error'] == '44.00 %'
  assert lines[-1] == ('most often taken for another: dog for cat (1), '
                       'eel for dog (1)')


def test_a_baseline_beside_it(by_hand):
  model = by_hand()
  baseline = by_hand('runs/b', np.roll(np.eye(3)[[0, 0, 0, 1, 1]] * 0.9 + 0.03,
                                       1, axis=1).astype(np.float32))
  found = results.compare(model, baseline)
  assert (found.both, found.only_model, found.only_baseline,
          found.neither) == (0, 3, 2, 0)
  text = summary.as_text(model, baseline, found)
  header = next(line for line in text.splitlines() if 'runs/b' in line)
  assert header.split() == ['runs/a', 'runs/b', 'difference']
  assert '+20.00 [' in text
  assert ('both are right about 0, only runs/a about 3, only runs/b about 2, '
          "neither about 0; if both were as good, they would differ at least "
          "so much with probability 1 (McNemar's test)") in text
  described = summary.comparison_as_json(found)
  assert described['differences']['top_1']['value'] == pytest.approx(0.2)
  json.dumps(described, allow_nan=False)
