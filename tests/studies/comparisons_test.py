"""Tests of what several seeds say."""

import math

import numpy as np
import pytest
from scipy import stats

from official_ext.studies import comparisons
from official_ext.studies import results as results_lib
from official_ext.studies import study_file


def row(name='row', diverged=(), **values):
  return comparisons.Row(
      name, {int(seed[1:]): value for seed, value in values.items()},
      dict.fromkeys(diverged, 'the loss is nan'), [])


def test_the_interval_is_that_of_the_paired_t_test():
  first = row(s1=51.0, s2=53.5, s3=52.0, s5=10.0)
  second = row(s3=50.5, s1=50.0, s2=51.5)
  found = comparisons.difference(first, second)
  # 1, 2 and 1.5 points, of which the deviation is 0.5; t(0.975, 2) = 4.303.
  half = 4.302652729911275 * 0.5 / math.sqrt(3)
  assert found.mean == pytest.approx(1.5)
  assert (found.low, found.high) == pytest.approx((1.5 - half, 1.5 + half))
  assert found.num_seeds == 3 and not found.num_diverged
  expected = stats.ttest_rel(
      [51, 53.5, 52], [50, 51.5, 50.5]).confidence_interval(0.95)
  assert (found.low, found.high) == pytest.approx(
      (expected.low, expected.high))
  assert comparisons.compared(found) == 'better'
  assert comparisons.compared(
      comparisons.difference(second, first)) == 'worse'


def test_the_interval_holds_the_truth_nineteen_times_of_twenty():
  generator = np.random.default_rng(0)
  num_held = 0
  for _ in range(1_000):
    values = dict(zip(('s1', 's2', 's3'), generator.normal(0.7, 0.4, 3)))
    found = comparisons.difference(row(**values), row(s1=0.0, s2=0.0, s3=0.0))
    num_held += found.low < 0.7 < found.high
  # Three standard deviations of the count.
  assert 929 <= num_held <= 971


@pytest.mark.parametrize('first, second, mean, verdict', [
    (row(s1=51.0), row(s1=50.0, s2=50.0), 1.0, 'undecided'),  # One seed.
    # Nothing says how much they scatter.
    (row(s1=50.1, s2=70.1), row(s1=50.0, s2=70.0), 0.1, 'undecided'),
    (row(s1=51.0), row(s2=50.0), None, 'no seed in common'),
    (row(), row(s2=50.0), None, 'not run'),
    (row(diverged=[2]), row(s2=50.0), None, 'undecided'),
])
def test_where_there_is_no_interval(first, second, mean, verdict):
  found = comparisons.difference(first, second)
  assert (found.low, found.high) == (None, None)
  assert found.mean == (None if mean is None else pytest.approx(mean))
  assert comparisons.compared(found) == verdict


def test_a_row_of_which_a_training_diverged_is_not_called_better():
  whole = row(s1=60.0, s2=60.1, s3=60.2)
  other = row(s1=50.0, s2=50.2, s3=50.1)
  assert comparisons.compared(comparisons.difference(whole, other)) == 'better'
  for first, second in ((row(s1=60.0, s2=60.1, diverged=[3]), other),
                        (whole, row(s1=50.0, s2=50.2, diverged=[3]))):
    found = comparisons.difference(first, second)
    assert found.low > 0 and found.num_diverged == 1
    assert comparisons.compared(found) == 'undecided'


@pytest.mark.parametrize('bound, low, high, verdict', [
    ({'above': 0.0}, 0.1, 0.5, 'confirmed'),
    ({'above': 0.0}, -0.1, 0.5, 'undecided'),
    ({'above': 0.0}, -0.5, -0.1, 'not confirmed'),
    ({'above': -1.0}, -0.9, 0.5, 'confirmed'),
    ({'above': -1.0}, -1.1, 0.5, 'undecided'),
    ({'above': -1.0}, -2.0, -1.1, 'not confirmed'),
    ({'below': 0.0}, -0.5, -0.1, 'confirmed'),
    ({'below': 0.0}, 0.1, 0.5, 'not confirmed'),
    ({'below': 0.0}, 0.0, 0.5, 'undecided'),
])
def test_a_claim_is_decided_by_the_whole_interval(bound, low, high, verdict):
  claim = study_file.Claim('It is so.', 'row', 'other', **bound)
  middle = (low + high) / 2
  assert comparisons.claimed(
      claim, comparisons.Difference(middle, low, high, 3)) == verdict
  assert comparisons.claimed(claim, comparisons.Difference()) == 'not run'


def test_a_claim_about_rows_of_other_seeds_was_run():
  claim = study_file.Claim('It is so.', 'row', 'other', above=0.0)
  found = comparisons.difference(row(s4=51.0, s5=52.0), row(s1=50.0, s2=50.0))
  assert comparisons.claimed(claim, found) == 'no seed in common'
  assert comparisons.claimed(
      claim, comparisons.difference(row(s4=51.0), row())) == 'not run'


def costs(name, seeds=(1, 2, 3), **seconds):
  """Returns a row whose trainings took something; '' is not known."""
  return comparisons.Row(name, {}, {}, [
      {'seed': seed[1:], 'cpu_seconds': str(value)}
      for seed, value in seconds.items()], seeds)


@pytest.mark.parametrize('rows, values, seeds, apart', [
    # Two were interrupted in the third seed, in which all took longest.
    ([costs('a', s1=10, s2=20, s3=''), costs('b', s1=8, s2=9, s3=90),
      costs('c', s1='', s2='', s3='')],
     {'a': 15, 'b': 8.5}, [1, 2], []),
    # Half done: of the first seed all are there.
    ([costs('a', s1=10, s2=20, s3=30), costs('b', s1=8), costs('c')],
     {'a': 10, 'b': 8}, [1], []),
    # What is not done does not part those that are.
    ([costs('a', s1=10, s2=20, s3=''), costs('b', s1=8, s2=9, s3=90),
      costs('c', s3=70)], {'a': 15, 'b': 8.5, 'c': 70}, [1, 2], ['c']),
    # No seed is shared.
    ([costs('a', s1=10, s2=20, s3=''), costs('b', s1='', s2='', s3=90)],
     {'a': 15, 'b': 90}, [], ['a', 'b']),
    ([costs('a')], {}, [], []),
])
def test_medians_are_of_the_seeds_that_rows_share(rows, values, seeds, apart):
  found = comparisons.medians({one.name: one for one in rows}, 'cpu_seconds')
  assert found.values == values
  assert (found.seeds, found.apart) == (seeds, apart)


def test_rows_of_results():
  study = study_file.Study(
      'short', 'Short', '', 'funnel_vit_digits', (), {}, 'ViT', {
          'ViT': study_file.Row('ViT', {}, (1, 2, 3)),
          'max': study_file.Row('max', {}, (1,))}, ())
  def line(name, seed, status, top_1='', rate=''):
    return {'row': name, 'seed': str(seed), 'status': status,
            'reason': 'bad' if status == 'diverged' else '',
            'top_1_percent': top_1, 'steps_per_second': rate}
  found = comparisons.rows(study, results_lib.Results({}, [
      line('ViT', 2, 'finished', '51', '4'),
      line('ViT', 1, 'finished', '50', '8'),
      line('ViT', 9, 'finished', '99', '9'),  # No seed of the study any more.
      line('gone', 1, 'finished', '99'), line('max', 1, 'diverged')]))
  vit, pooled = found['ViT'], found['max']
  assert vit.values == {1: 50.0, 2: 51.0} and not vit.diverged
  assert vit.mean == 50.5 and vit.deviation == pytest.approx(math.sqrt(0.5))
  assert vit.median('steps_per_second') == 6.0
  assert (pooled.mean, pooled.deviation) == (None, None)
  assert pooled.diverged == {1: 'bad'}
  assert pooled.median('steps_per_second') is None
