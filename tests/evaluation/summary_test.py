"""Tests of the figures as a table and as JSON: values by hand."""

import json
import re

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


@pytest.mark.parametrize('top_k, shown', [(1, {1}), (2, {1, 2}), (3, {1, 2})])
def test_of_all_classes_none_is_always_right(by_hand, top_k, shown):
  found = by_hand(top_k=top_k)
  assert set(found.accuracies) == shown
  assert found.accuracies[max(shown)].value == {1: 0.6, 2: 0.8}[max(shown)]
  # The images' most probable classes are still all that were asked for.
  assert found.outcomes.top_classes.shape == (5, top_k)
  assert 'top-3' not in summary.as_text(found)
  assert summary.about_top_k(found, None) == ''
  assert summary.about_top_k(found, top_k) == (
      '' if top_k < 3 else '\n--top_k=3 would always be right of 3 classes: '
      'top-2 is given\n')


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


def test_every_figure_is_its_own(two_by_hand):
  model, baseline = two_by_hand
  found = results.compare(model, baseline)
  described, other = map(summary.as_json, two_by_hand)
  assert (described['loss'], other['loss']) == (1.25, 2.5)
  assert [[one[name] for name in ('number', 'label', 'predicted')]
          for one in described['mistakes']] == [[4, 2, 1], [2, 1, 0]]
  assert [one['cross_entropy'] for one in described['mistakes']] == (
      pytest.approx(-np.log([0.05, 0.4])))
  # Of confidences of 0.7, 0.5 and three of 0.6 the first alone is right.
  assert other['calibration']['expected_error'] == pytest.approx(
      (0.3 + 0.5 + 3 * 0.6) / 5)
  differences = summary.comparison_as_json(found)['differences']
  assert differences['top_1']['value'] == pytest.approx((3 - 1) / 5)
  assert differences['top_2']['value'] == pytest.approx((4 - 4) / 5)
  text = summary.as_text(model, baseline, found)
  rows = {line.split('  ')[0]: line for line in text.splitlines()}
  assert rows['loss'].split() == ['loss', '1.2500', '2.5000']
  assert rows['top-1'].split('  ')[-1].startswith('+40.00 [')
  assert rows['top-2'].split('  ')[-1].startswith('+0.00 [')
  difference = -np.log(
      [0.8, 0.6, 0.4, 0.8, 0.05]).mean() + np.log([0.7, 0.3, 0.1, 0.3, 0.3]
                                                  ).mean()
  assert rows['cross-entropy'].split('  ')[-1].startswith(
      f'{difference:+.4f} [')
  intervals_shown = re.findall(r'\[([-+.\d]+), ([-+.\d]+)\]', text)
  assert len(intervals_shown) == 9
  for low, high in intervals_shown:
    assert float(low) < float(high)
  assert ('both are right about 1, only runs/a about 2, only runs/b about 0, '
          'neither about 2; ') in text


def test_only_accuracies_that_both_have_are_compared(by_hand):
  model, baseline = by_hand(), by_hand('runs/b', top_k=1)
  found = results.compare(model, baseline)
  assert set(found.differences) == {1}
  row = next(line for line in summary.as_text(
      model, baseline, found).splitlines() if line.startswith('top-2'))
  assert row.split()[-2:] == ['-', '-']
