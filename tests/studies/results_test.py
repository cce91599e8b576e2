"""Tests of the file of a study's results."""

import math
import re

import pytest

from official_ext.command_line import errors
from official_ext.studies import metrics
from official_ext.studies import results as results_lib

COLUMNS = results_lib.columns(metrics.ACCURACY)
HEAD = {'study': 'short', 'title': 'A  short one', 'command': 'python -m x'}


@pytest.fixture(name='path')
def _path(tmp_path):
  path = tmp_path / 'results.csv'
  results_lib.begin(str(path), HEAD)
  return path


def test_lines_are_appended_and_none_is_changed(path):
  results_lib.append(str(path), {
      'row': 'ViT', 'seed': 1, 'status': 'finished', 'gmacs': 1 / 3,
      'top_1_percent': 50.0})
  before = path.read_text()
  results_lib.append(str(path), {
      'row': 'ViT', 'seed': 2, 'status': 'diverged', 'reason': 'a,\n"b"'})
  text = path.read_text()
  assert text.startswith(before)
  assert text.splitlines()[:4] == [
      '# study: short', '# title: A short one', '# command: python -m x',
      ','.join(COLUMNS)]
  missing = ',' * (len(COLUMNS) - 9)
  assert text.splitlines()[4:] == [
      f'ViT,1,finished,,,0.3333333,,,50{missing}',
      f'ViT,2,diverged,"a, ""b""",,,,,{missing}']
  found = results_lib.read(str(path))
  assert found.head['study'] == 'short'
  assert found.find('ViT', 2)['reason'] == 'a, "b"'
  assert found.find('ViT', 3) is None
  # A start finds what there is.
  results_lib.begin(str(path), {'study': 'other'})
  assert path.read_text() == text


def test_the_columns_of_a_study_of_accuracies():
  # What there is of studies is read by it.
  assert ','.join(COLUMNS) == (
      'row,seed,status,reason,layout,gmacs,parameters,step,top_1_percent,loss,'
      'train_loss,evaluations,steps_per_second,images_per_second,seconds,'
      'cpu_seconds,peak_memory_gib,starts,threads,machine,versions,ended,'
      'fingerprint')


def test_a_column_has_the_name_of_the_metric(path):
  metric = metrics.Metric('mean_iou')
  # Nothing has ended yet, so it may be another one.
  results_lib.begin(str(path), HEAD, metric)
  before = results_lib.read(str(path))
  assert (before.metric, before.lines) == (metric, [])
  results_lib.check_metric(before, metrics.ACCURACY, 'x.csv', '--folder')
  results_lib.append(str(path), {
      'row': 'ViT', 'seed': 1, 'status': 'finished', 'mean_iou_percent': 26.5,
      'loss': 0.25})
  assert [line.split(',')[7:10] for line in path.read_text().splitlines()[3:]
          ] == [['step', 'mean_iou_percent', 'loss'], ['', '26.5', '0.25']]
  results_lib.begin(str(path), HEAD, metrics.ACCURACY)
  found = results_lib.read(str(path))
  assert found.metric == metric
  assert found.find('ViT', 1)['mean_iou_percent'] == '26.5'
  results_lib.check_metric(found, metric, 'x.csv', '--folder')
  with pytest.raises(ValueError, match=(
      '^x.csv has mean_iou_percent, but the metric of the study is accuracy. '
      'Choose another --folder, or set metric: mean_iou in the file of the ')):
    results_lib.check_metric(found, metrics.ACCURACY, 'x.csv', '--folder')


def test_a_training_has_one_line(path):
  line = {'row': 'ViT', 'seed': 1, 'status': 'diverged'}
  results_lib.append(str(path), line)
  before = path.read_text()
  with pytest.raises(ValueError, match="has a line of 'ViT' with seed 1"):
    results_lib.append(str(path), line)
  assert path.read_text() == before


def test_what_a_kill_leaves_does_not_count(path):
  path.with_name('results.csv.unfinished').write_text('# stu')
  results_lib.append(str(path), {
      'row': 'ViT', 'seed': 1, 'status': 'diverged'})
  assert len(results_lib.read(str(path)).lines) == 1


def test_other_files_are_no_results(path, tmp_path):
  assert results_lib.read(str(tmp_path / 'none.csv')).lines == []
  path.write_text('row,seed\nViT,1\n')
  with pytest.raises(ValueError, match=(
      'does not hold the results of a study of this version: its columns are '
      'row, seed')):
    results_lib.read(str(path))
  header = ','.join(COLUMNS).replace('top_1_', '')
  path.write_text(f'# study: short\n{header}\n')
  with pytest.raises(ValueError, match='step, percent, loss'):
    results_lib.read(str(path))


def of(row='ViT', seed='1', **cells):
  """Returns the text of a line."""
  cells = {'row': row, 'seed': seed, 'status': 'finished',
           'top_1_percent': '50', 'fingerprint': '0123456789abcdef', **cells}
  return ','.join(cells.get(column, '') for column in COLUMNS)


@pytest.mark.parametrize('lines, said', [
    # What a writer leaves that is killed, or a disk that is full.
    ([of(), of(seed='2')[:12]],
     "line 6 is cut off in column status, 3 of 23, after 'finish'. "
     'Put the line right, or remove it: official_ext.studies.run then runs '
     'that training again, or only evaluates it where its folder holds it '
     'trained.'),
    ([of(), of(seed='2')[:-3]],
     'line 6 is cut off in column fingerprint, 23 of 23, after '
     "'0123456789abc'. Put"),
    ([of() + of(seed='2'), ''],
     "line 5 has 45 cells, but there are 23 columns: from '2' on it may be "),
    ([of(), of()],
     "line 6: row 'ViT' with seed 1 is in line 5 already, but each training "
     'has one line. Remove one of the two.'),
    ([of(row='')], "line 5: row is '', but must be the name of a row. Put"),
    ([of(seed='one')],
     "line 5: seed is 'one', but must be a whole number such as 1. Put"),
    ([of(seed='01')], "seed is '01', but"),
    ([of(status='done')],
     "line 5: status is 'done', but must be finished or diverged. Put"),
    ([of(top_1_percent='')],
     "line 5: top_1_percent is '', but must be a share in per cent, from 0 to "
     '100. Put'),
    ([of(top_1_percent='nan')], "top_1_percent is 'nan', but"),
    ([of(top_1_percent='6220')], "top_1_percent is '6220', but"),
    ([of(status='diverged', top_1_percent='x')], "top_1_percent is 'x', but"),
    ([of(starts='1.5')],
     "line 5: starts is '1.5', but must be a whole number, or empty. Put"),
    ([of(cpu_seconds='inf')],
     "line 5: cpu_seconds is 'inf', but must be a number that is not negative, "
     'or empty. Put'),
    ([of(cpu_seconds='-1')], "cpu_seconds is '-1', but"),
    ([of(steps_per_second='0')],
     "line 5: steps_per_second is '0', but must be a number above 0, or empty"),
])
def test_a_line_that_no_training_leaves_is_named(path, lines, said):
  path.write_text(path.read_text() + '\n'.join(lines))
  with pytest.raises(ValueError) as refused:
    results_lib.read(str(path))
  assert said in str(refused.value)
  assert str(refused.value).startswith(f'{path}, line ')


def test_bytes_that_are_no_text_are_named(path):
  path.write_bytes(path.read_bytes() + b'\xff')
  with pytest.raises(ValueError, match=re.escape(
      f'{path} is no text in UTF-8: invalid start byte at byte ')):
    results_lib.read(str(path))


@pytest.mark.parametrize('end', ['', '\n', '\r\n', '\n\n'])
def test_a_line_begins_on_its_own(path, end):
  with open(path, 'a', encoding='utf-8', newline='') as file:
    file.write(of() + end)
  assert len(results_lib.read(str(path)).lines) == 1
  results_lib.append(str(path), {
      'row': 'ViT', 'seed': 2, 'status': 'finished', 'top_1_percent': 51.0})
  first, second = results_lib.read(str(path)).lines
  assert (first['fingerprint'], first['top_1_percent']) == (
      '0123456789abcdef', '50')
  assert (second['seed'], second['top_1_percent']) == ('2', '51')


def test_what_could_not_be_read_is_not_written(path):
  before = path.read_text()
  with pytest.raises(ValueError, match=re.escape(
      f"{path}, the line of 'ViT' with seed 1: top_1_percent is 'nan', but "
      'must be a share in per cent, from 0 to 100. Nothing was written.')):
    results_lib.append(str(path), {
        'row': 'ViT', 'seed': 1, 'status': 'finished',
        'top_1_percent': math.nan})
  assert path.read_text() == before


def test_one_process_runs_a_study(tmp_path):
  folder = str(tmp_path / 'study')
  with results_lib.hold(folder):
    # A second opening of the file is refused in the same process as well.
    with pytest.raises(errors.UserError, match=re.escape(
        f'--folder={folder} is in use: process ')):
      with results_lib.hold(folder):
        pass
  with results_lib.hold(folder):
    pass


def test_a_folder_that_cannot_be_written(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(errors.UserError, match='cannot be written'):
    with results_lib.hold(str(tmp_path / 'file')):
      pass
