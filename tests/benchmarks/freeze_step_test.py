"""Tests of the command that writes steps for other machines."""

import commands
import pytest

COMMAND = 'official_ext.benchmarks.freeze_step'


@pytest.mark.parametrize('flags, message', [
    (['--values'], '--values has a step taken here'),
    (['--values', '--capability='], 'Add --dtype=float32.'),
    (['--parity', '--output=/dev/null/x'],
     '--output=/dev/null/x cannot be made: Not a directory. Name another.'),
    (['--capability=nine'], '--capability=nine: must be like 9.0'),
    (['--modes=predict'], '--modes=predict: must be train or eval'),
    (['--layouts=B0'], '--layouts: '),
    (['--parity', '--batch_size=8'], '--batch_size is for steps'),
    (['--longest=99'], '--longest is for --parity'),
    (['--parity', '--longest=9'], 'the shortest has 50 tokens'),
])
def test_what_cannot_be_is_refused_before_anything_is_built(
    tmp_path, repository, flags, message):
  output = tmp_path / 'frozen'
  result = commands.run(
      '-m', COMMAND, f'--output={output}', *flags, cwd=repository)
  assert result.returncode == 1
  assert message in result.stderr
  assert not output.exists()


def test_a_step_that_is_there_is_not_written_over(tmp_path, repository):
  (tmp_path / 'B1-train').mkdir()
  result = commands.run(
      '-m', COMMAND, f'--output={tmp_path}', '--layouts=B1', cwd=repository)
  assert result.returncode == 1
  assert 'B1-train exists already' in result.stderr
