"""Tests of the command that looks at the memory of a long training."""

import pytest

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import resident_memory
from official_ext.benchmarks import training_process
from tests import commands


def test_the_command_writes_what_it_measured(
    tmp_path, repository, monkeypatch):
  def measure(training):
    growth_per_step = training_process.NUM_DEVICES[training.strategy] / 100
    for step in range(10, 101, 10):
      yield resident_memory.Sample(step, 800 + growth_per_step * step, 30, 12)

  monkeypatch.setattr(training_process, 'measure', measure)
  result = commands.run(
      '-m', 'official_ext.benchmarks.long_training', '--steps=100',
      '--evaluations=2', f'--output_dir={tmp_path}', cwd=repository)
  assert result.returncode == 0, result.stderr
  assert '+10.00 MiB' in result.stdout
  table = csv_file.read(str(tmp_path / 'long_training.csv'))
  assert table.head['command'].endswith(f'--output_dir={tmp_path}')
  assert [(line['strategy'], line['mib_per_1000_steps'],
           line['resident_mib_after_a_third'],
           line['resident_mib_at_the_end']) for line in table.rows] == [
               ('one_device', '10', '800.4', '801'),
               ('mirrored', '20', '800.8', '802')]
  samples = csv_file.read(str(tmp_path / 'long_training_samples.csv')).rows
  assert [line['step'] for line in samples[:10]] == [
      str(step) for step in range(10, 101, 10)]
  assert len(samples) == 20
  assert (tmp_path / 'long_training.png').exists()


def test_steps_that_cannot_be_divided(repository):
  result = commands.run(
      '-m', 'official_ext.benchmarks.long_training', '--steps=101',
      '--evaluations=2', cwd=repository)
  assert result.returncode == 1
  assert result.stderr == (
      'error: --steps=101 cannot be divided into --evaluations=2 with 5 '
      'reports each. Use a multiple of 10, such as --steps=100.\n')


@pytest.mark.long
def test_a_short_training(digits_dir, tmp_path, repository):
  result = commands.run(
      '-m', 'official_ext.benchmarks.long_training', '--steps=20',
      '--evaluations=2', '--strategy=one_device', f'--data_dir={digits_dir}',
      f'--output_dir={tmp_path}', cwd=repository)
  assert result.returncode == 0, result.stderr
  line, = csv_file.read(str(tmp_path / 'long_training.csv')).rows
  assert line['steps'] == '20'
