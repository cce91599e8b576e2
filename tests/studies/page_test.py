"""Tests of the report of a study: its text, its tables and its figure."""

import dataclasses
import itertools

from matplotlib import pyplot
import pytest

from official_ext.studies import metrics
from official_ext.studies import page
from official_ext.studies import results as results_lib
from official_ext.studies import study_file

COLUMNS = results_lib.columns(metrics.ACCURACY)
STUDY = study_file.Study(
    'short', 'A short study', 'Of the digits.', 'funnel_vit_digits', (), {},
    'ViT', {name: study_file.Row(name, {}, (1, 2, 3))
            for name in ('ViT', 'max', 'fast', 'later')}, (
                study_file.Claim('Max loses at most 2 points.', 'max', 'ViT',
                                 above=-2.0),
                study_file.Claim('Max is worse.', 'max', 'ViT', below=0.0),
                study_file.Claim('Later is better.', 'later', 'ViT', 0.0)))


def line(row, seed, top_1='', status='finished', **cells):
  return dict.fromkeys(COLUMNS, '') | {
      'row': row, 'seed': str(seed), 'status': status, 'top_1_percent': top_1,
      'layout': 'B2(17)' if row == 'ViT' else 'B1(17)-1(9)',
      'gmacs': '0.002' if row == 'ViT' else '0.001', 'parameters': '105034',
      'steps_per_second': '8', 'seconds': '120', 'cpu_seconds': '90',
      'peak_memory_gib': '1.5', 'starts': '1', 'threads': '2',
      'machine': 'CPU', 'versions': 'TensorFlow 2.20.0',
      'ended': f'2026-11-2{seed} 10:00:00 UTC', **cells}


RESULTS = results_lib.Results({'study': 'short'}, [
    line('ViT', 1, '60'), line('ViT', 2, '61'), line('ViT', 3, '62'),
    line('max', 1, '59'), line('max', 2, '60.5'), line('max', 3, '60.9'),
    line('fast', 1, status='diverged',
         reason='the training diverged: at step 5. Lower it.', starts='2'),
    line('fast', 2, '70', steps_per_second='4', cpu_seconds='')])


def test_the_report_by_value():
  text = page.text(STUDY, RESULTS, 'short.png')
  # -1, -0.5 and -1.1 points: a mean of -0.867 with a deviation of 0.321.
  assert text == """\
## A short study

Of the digits.

8 of 12 trainings have ended. `short.yaml` says what each of them is; rows are \
compared with ViT.

### Claims

| claim | points | measured | seeds | verdict |
| --- | --- | ---: | ---: | --- |
| Max loses at most 2 points. | max less ViT, above -2 | \
-0.87 (-1.67 to -0.07) | 3 | **confirmed** |
| Max is worse. | max less ViT, below +0 | -0.87 (-1.67 to -0.07) | 3 | \
**confirmed** |
| Later is better. | later less ViT, above +0 |  | 0 | **not run** |

### Rows

| row | layout | GMACs | parameters | seeds | top-1, % | points above ViT | \
than ViT | ms per step | minutes | CPU minutes | GiB |
| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | \
---: |
| ViT | `B2(17)` | 0.002000 | 105,034 | 3 | 61.00 ± 1.00 |  |  | 125 | 2.00 | \
1.50 | 1.50 |
| max | `B1(17)-1(9)` | 0.001000 | 105,034 | 3 | 60.13 ± 1.00 | \
-0.87 (-1.67 to -0.07) | worse | 125 | 2.00 | 1.50 | 1.50 |
| fast | `B1(17)-1(9)` | 0.001000 | 105,034 | 1 of 3, 1 diverged | 70.00 | \
+9.00 | undecided | 167 | 2.00 | 1.50 | 1.50 |
| later |  |  |  | 0 of 3 |  |  | not run |  |  |  |  |

![A short study](short.png)

Diverged:
- fast, seed 1: the training diverged: at step 5

(CPU, 2 threads; TensorFlow 2.20.0; 2026-11-21 to 2026-11-23; 1 training \
interrupted and resumed. Times and memory are medians over the seeds, on a \
machine that may have done other work.)
"""


def test_a_study_that_was_not_run():
  assert page.text(STUDY, results_lib.Results({}, []), None) == (
      '## A short study\n\nOf the digits.\n\nNot run: 4 rows, 12 trainings '
      '(`short.yaml`).\n')
  assert not page.can_be_drawn(STUDY, results_lib.Results({}, []))


def test_the_figure_by_value():
  figure = page.draw(STUDY, RESULTS)
  differences, costs, times = figure.axes
  assert [label.get_text() for label in differences.get_yticklabels()] == [
      'later', 'fast', 'max']
  other_point, interval, point, zero = differences.lines
  assert list(interval.get_xdata()) == pytest.approx([-1.665, -0.068], abs=1e-3)
  assert list(interval.get_ydata()) == [2, 2]
  assert point.get_xdata() == pytest.approx([-0.8667], abs=1e-4)
  assert other_point.get_xdata() == [9.0]
  assert list(zero.get_xdata()) == [0, 0]
  front = costs.lines[-1]
  # Of those that are finished the funnel at 70 is the best and the cheapest.
  assert (list(front.get_xdata()), list(front.get_ydata())) == ([0.001], [70])
  # The one that diverged took CPU time too.
  assert [one.get_text() for one in times.texts] == ['ViT', 'max', 'fast']
  front = times.lines[-1]
  assert (list(front.get_xdata()), list(front.get_ydata())) == ([1.5], [70])
  assert [axes.get_xlabel() for axes in figure.axes] == [
      'points of top-1 above ViT, 95 % intervals', 'GMACs of one image',
      'CPU minutes of a training']
  assert costs.get_ylabel() == times.get_ylabel() == 'top-1, %'
  pyplot.close(figure)


def test_what_is_not_trained_has_no_time_of_a_training():
  study = dataclasses.replace(STUDY, rows={
      **STUDY.rows, 'max': study_file.Row('max', {}, (1, 2, 3), mode='eval')})
  figure = page.draw(study, RESULTS)
  assert [one.get_text() for one in figure.axes[1].texts] == [
      'ViT', 'max', 'fast']
  assert [one.get_text() for one in figure.axes[2].texts] == ['ViT', 'fast']
  pyplot.close(figure)


def test_another_metric():
  metric = metrics.Metric('mean_iou')
  study = dataclasses.replace(STUDY, metric=metric)
  results = dataclasses.replace(RESULTS, metric=metric, lines=[
      {'mean_iou_percent' if name == 'top_1_percent' else name: value
       for name, value in one.items()} for one in RESULTS.lines])
  assert page.text(study, results, None) == page.text(
      STUDY, RESULTS, None).replace('| top-1, % |', '| mean IoU, % |')
  figure = page.draw(study, results)
  assert figure.axes[0].get_xlabel() == (
      'points of mean IoU above ViT, 95 % intervals')
  assert figure.axes[1].get_ylabel() == 'mean IoU, %'
  pyplot.close(figure)


def test_no_name_in_the_figure_covers_another():
  # All as good and as dear as the first.
  figure = page.draw(STUDY, results_lib.Results(RESULTS.head, [
      {**RESULTS.lines[0], 'row': name, 'seed': '1'}
      for name in ('ViT', 'fast', 'max')]))
  for axes in figure.axes[1:]:
    boxes = [name.get_window_extent() for name in axes.texts]
    assert len(boxes) == 3
    assert not any(one.overlaps(other)
                   for one, other in itertools.combinations(boxes, 2))
  pyplot.close(figure)


def test_results_of_another_study_are_refused():
  page.check(STUDY, RESULTS, 'results.csv')
  with pytest.raises(ValueError, match='x.csv is of the study other, but'):
    page.check(STUDY, results_lib.Results({'study': 'other'}, []), 'x.csv')
  with pytest.raises(ValueError, match=(
      'x.csv has top_1_percent, but the metric of the study is mean_iou. '
      'Choose another --results, or set metric: accuracy in the file of the ')):
    page.check(dataclasses.replace(STUDY, metric=metrics.Metric('mean_iou')),
               RESULTS, 'x.csv')
  with pytest.raises(ValueError, match='x.csv is not there, but --study=short'):
    page.check(STUDY, results_lib.Results({}, []), 'x.csv')
