"""Tests of what it costs that a training loses nothing."""

import pytest

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import safety_rows
from tests import commands


def test_a_line_of_the_table():
  line = safety_rows.row('a step, ms', 1e3, {
      'without': [0.100, 0.200, 0.400], 'with': [0.101, 0.206, 0.404]})
  # 1, 3 and 1 per cent: a standard deviation of 2 / sqrt(3).
  assert line == {
      'what': 'a step, ms', 'without': pytest.approx(200),
      'with': pytest.approx(206), 'more_percent': pytest.approx(1),
      'error_percent': pytest.approx(2 * 2 / 3), 'turns': 3}
  assert safety_rows.format_row(line).split() == [
      'a', 'step,', 'ms', '200', '206', '+1.0', '%', '±', '1.3']


def test_data_that_are_not_measured(digits_dir):
  measured = safety_rows.Measured(
      'funnel_vit_digits',
      f'task.data_dir={digits_dir},task.train_data.is_multilabel=true,'
      'task.train_data.mixup_and_cutmix=null', 'cpu')
  with pytest.raises(ValueError, match='train_data.is_multilabel is True, .*'
                     'Leave it out'):
    next(measured.rows(2, 2, 2))


@pytest.mark.long
def test_a_short_measurement(digits_dir, tmp_path, repository):
  path = tmp_path / 'cost.csv'
  result = commands.run(
      '-m', 'official_ext.benchmarks.safety_cost', '--rounds=2', '--steps=2',
      '--starts=2', f'--data_dir={digits_dir}', f'--output_csv={path}',
      '--params_override=task.model.backbone.funnel_vit.layout=B1-1',
      cwd=repository)
  assert result.returncode == 0, result.stderr
  rows = csv_file.read(str(path)).rows
  assert [row['what'] for row in rows] == [
      'a step, ms', 'a checkpoint, s', 'a start and its first step, s']
  for row in rows:
    assert float(row['without']) > 0 and float(row['with']) > 0
