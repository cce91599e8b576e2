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
    line('ViT', 1, '60'), line('ViT', 2, '61', cpu_seconds='99'),
    line('ViT', 3, '62'),
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
interrupted and resumed. Times and memory are medians over the seeds that the \
rows share, on a machine that may have done other work. CPU minutes are of \
seed 1, which the rows share. Of one row they differ between seeds by up to \
10 % (ViT).)
"""


def changed(changes, lines=RESULTS.lines):
  """Returns results some of whose cells are others, by row and seed."""
  return results_lib.Results(RESULTS.head, [
      {**one, **changes.get((one['row'], one['seed']), {})} for one in lines])


@pytest.mark.parametrize('changes, said', [
    ({('max', '3'): {'cpu_seconds': '', 'starts': '2'}},
     'CPU minutes are of seeds 1 and 2, in which no row was interrupted. Of'),
    ({(row, seed): {'cpu_seconds': '', 'starts': '2'}
      for row, seed in (('ViT', '3'), ('max', '1'), ('max', '2'))},
     'CPU minutes are of different seeds, and do not compare (ViT: 1 and 2; '
     'max: 3). Of'),
    ({}, 'CPU minutes are of seeds 1, 2 and 3. Of')])
def test_the_foot_says_which_seeds_cpu_minutes_are_of(changes, said):
  text = page.text(STUDY, changed(changes, RESULTS.lines[:6]), None)
  assert said in text


def test_cpu_minutes_of_other_seeds_are_named():
  # Seed 3 alone of a row that is not done does not part the two that are.
  lines = [*RESULTS.lines[:6], line('fast', 3, '70', cpu_seconds='30')]
  text = page.text(STUDY, changed(
      {(row, '3'): {'cpu_seconds': '', 'starts': '2'}
       for row in ('ViT', 'max')}, lines), None)
  assert (
      'CPU minutes are of seeds 1 and 2, in which no row was interrupted; '
      'those of other seeds do not compare (fast: 3). Of') in text


def test_rows_of_other_seeds_were_run():
  study = dataclasses.replace(STUDY, claims=STUDY.claims[:1], rows={
      'ViT': STUDY.rows['ViT'], 'max': study_file.Row('max', {}, (4, 5, 6))})
  results = results_lib.Results(RESULTS.head, [*RESULTS.lines[:3], *(
      line('max', seed, '50') for seed in (4, 5, 6))])
  text = page.text(study, results, None)
  assert 'All 6 trainings have ended.' in text
  assert '|  | 0 | **no seed in common** |' in text
  assert '|  | no seed in common |' in text and 'not run' not in text


def test_times_are_without_those_of_other_trainings():
  tuned = study_file.Row('max', {'task': {'init_checkpoint': {
      'run_of': 'ViT'}}}, (1, 2, 3))
  study = dataclasses.replace(STUDY, rows={**STUDY.rows, 'max': tuned})
  said = ('Times are of a training alone, without the training that it begins '
          'from and that of its teacher.)')
  assert said in page.text(study, RESULTS, None)
  assert said not in page.text(STUDY, RESULTS, None)


def test_of_one_training():
  study = dataclasses.replace(STUDY, claims=(), rows={
      'ViT': study_file.Row('ViT', {}, (1,))})
  text = page.text(study, RESULTS, None)
  assert 'The one training has ended.' in text and 'Of one row' not in text
  text = page.text(dataclasses.replace(study, rows={
      'a|b': study_file.Row('a|b', {}, (1,)), **study.rows}), RESULTS, None)
  assert '1 of 2 trainings have ended.' in text and '| a\\|b |' in text


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
  # Of those that are finished the funnel at 70 is the best and the cheapest: a
  # front of one point is none.
  assert len(costs.lines) == 3 and costs.get_legend() is None
  # The one that diverged took CPU time too.
  assert {one.get_text() for one in times.texts} - {''} == {
      'ViT', 'max', 'fast'}
  assert [axes.get_xlabel() for axes in figure.axes] == [
      'points of top-1 above ViT, 95 % intervals', 'GMACs of one image',
      'CPU minutes of a training']
  assert costs.get_ylabel() == times.get_ylabel() == 'top-1, %'
  pyplot.close(figure)


def test_multiply_adds_are_drawn_where_rows_differ_in_them():
  figure = page.draw(STUDY, results_lib.Results(RESULTS.head, [
      {**one, 'gmacs': '0.002'} for one in RESULTS.lines]))
  assert [axes.get_xlabel() for axes in figure.axes] == [
      'points of top-1 above ViT, 95 % intervals', 'CPU minutes of a training']
  pyplot.close(figure)


def test_what_is_not_trained_has_no_time_of_a_training():
  study = dataclasses.replace(STUDY, rows={
      **STUDY.rows, 'max': study_file.Row('max', {}, (1, 2, 3), mode='eval')})
  figure = page.draw(study, RESULTS)
  assert [sorted(filter(None, (one.get_text() for one in axes.texts)))
          for axes in figure.axes[1:]] == [
              ['ViT', 'fast', 'max'], ['ViT', 'fast']]
  pyplot.close(figure)


def test_the_front_is_of_times_that_compare():
  # 60, 61 and 62 % of ViT in 1.5 minutes; 63 to 65 % of max in 3, and then of
  # another seed than ViT's.
  dearer = {('max', str(seed)): {
      'top_1_percent': str(62 + seed), 'cpu_seconds': '180'}
            for seed in (1, 2, 3)}
  figure = page.draw(STUDY, changed(dearer, RESULTS.lines[:6]))
  front = figure.axes[2].lines[-1]
  assert (list(front.get_xdata()), list(front.get_ydata())) == (
      [1.5, 3], [61, 64])
  assert figure.axes[2].get_legend() is not None
  pyplot.close(figure)
  for seed in (1, 2):
    dearer['max', str(seed)]['cpu_seconds'] = ''
  figure = page.draw(STUDY, changed(
      {**dearer, ('ViT', '3'): {'cpu_seconds': ''}}, RESULTS.lines[:6]))
  assert len(figure.axes[2].lines) == 2
  assert figure.axes[2].get_legend() is None
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


def test_points_of_one_cost_and_their_names_can_be_told_apart():
  # All as good as the first, at one place.
  names = ['ViT', 'fast', 'max', 'a row with a name that is long']
  study = dataclasses.replace(STUDY, rows={
      name: study_file.Row(name, {}, (1,)) for name in names})
  figure = page.draw(study, results_lib.Results(RESULTS.head, [
      {**RESULTS.lines[0], 'row': name, 'seed': '1'} for name in names]))
  # Side by side, 3 % of the cost apart, their middle where they are.
  _, times = figure.axes
  assert sorted(one.get_xdata()[0] for one in times.lines) == pytest.approx(
      [1.5 * (1 + 0.03 * place) for place in (-1.5, -0.5, 0.5, 1.5)])
  _check_names(figure, 4)
  pyplot.close(figure)


def test_points_apart_stay_where_they_are():
  # One cost, but 1 % of points and bars of 1 point are far from one another.
  figure = page.draw(STUDY, changed({
      ('max', str(seed)): {'gmacs': '0.002', 'top_1_percent': str(30 + seed)}
      for seed in (1, 2, 3)}, RESULTS.lines[:6]))
  assert [one.get_xdata()[0] for one in figure.axes[1].lines] == [1.5, 1.5]
  _check_names(figure, 2)
  pyplot.close(figure)


def test_names_stay_inside():
  study = dataclasses.replace(STUDY, rows={
      name: study_file.Row(name, {}, (1,)) for name in (
          'ViT', 'a row with a name that is long')})
  figure = page.draw(study, results_lib.Results(RESULTS.head, [
      {**RESULTS.lines[0], 'seed': '1', 'row': name, 'gmacs': gmacs}
      for name, gmacs in zip(study.rows, ('0.001', '0.002'), strict=True)]))
  _check_names(figure, 2)
  pyplot.close(figure)


def _check_names(figure, number):
  """Checks that names are inside their panels and cover no other."""
  figure.draw_without_rendering()
  for axes in figure.axes[1:]:
    boxes = [name.get_window_extent() for name in axes.texts
             if name.get_text()]
    assert len(boxes) == number
    inside = axes.get_window_extent()
    for box in boxes:
      assert inside.x0 <= box.x0 and box.x1 <= inside.x1
      assert inside.y0 <= box.y0 and box.y1 <= inside.y1
    assert not any(one.overlaps(other)
                   for one, other in itertools.combinations(boxes, 2))


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
