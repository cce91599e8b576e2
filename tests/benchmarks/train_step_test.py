"""Tests of the command that times the train step."""

import commands
import pytest

from official_ext.benchmarks import csv_file


@pytest.mark.long
def test_the_command(repository, tmp_path):
  done = commands.run(
      '-m', 'official_ext.benchmarks.train_step', '--layouts=B6-6',
      '--model_name=vit-ti16', '--image_size=32', '--batch_size=2',
      '--rounds=2', '--steps=2', '--warmup_steps=1', '--noactivations',
      f'--output_dir={tmp_path}', cwd=repository)
  assert done.returncode == 0, done.stderr
  assert "Model Garden's vit" in done.stdout
  assert 'B6(5)-6(3, s2)' in done.stdout
  assert '%|' not in done.stderr  # No bar in a pipe, but lines.
  assert done.stderr.splitlines()[-1] == 'B6(5)-6(3, s2), float32, XLA off'
  table = csv_file.read(tmp_path / 'train_step.csv')
  assert [line['timed_steps'] for line in table.rows] == ['4', '4']
  assert table.head['command'].startswith(
      'python -m official_ext.benchmarks.train_step --layouts=B6-6 --model_')
  assert 'cores' in table.head['machine']
  assert (tmp_path / 'train_step.png').exists()


@pytest.mark.parametrize('limit', ['nan', 'inf'])
def test_a_memory_limit_is_a_finite_number(repository, limit):
  done = commands.run(
      '-m', 'official_ext.benchmarks.train_step',
      f'--memory_limit_gib={limit}', cwd=repository)
  assert done.returncode == 1
  assert 'must be a finite number' in done.stderr
