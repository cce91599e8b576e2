"""Tests of the file of a study's results."""

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
      'row': 'ViT', 'seed': 1, 'mean_iou_percent': 26.5, 'loss': 0.25})
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
  line = {'row': 'ViT', 'seed': 1}
  results_lib.append(str(path), line)
  before = path.read_text()
  with pytest.raises(ValueError, match="has a line of 'ViT' with seed 1"):
    results_lib.append(str(path), line)
  assert path.read_text() == before


def test_what_a_kill_leaves_does_not_count(path):
  path.with_name('results.csv.unfinished').write_text('# stu')
  results_lib.append(str(path), {'row': 'ViT', 'seed': 1})
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
