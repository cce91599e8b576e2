"""Tests of the command that draws curves."""

import commands
import pytest


def test_the_command(repository, two_runs, tmp_path):
  outputs = [tmp_path / 'new' / f'curves{suffix}'
             for suffix in ('.png', '.pdf')]
  result = commands.run(
      '-m', 'official_ext.analysis.training_curves', f'ViT={two_runs[0]}',
      two_runs[1], '--smoothing=0.6',
      f'--output={",".join(map(str, outputs))}', cwd=repository)
  assert (result.returncode, result.stderr) == (0, '')
  assert result.stdout.splitlines() == [
      'ViT: step 12 of 12', 'B1(17)-1(9): step 12 of 12',
      f'wrote {outputs[0]}, {outputs[1]}']
  for output, beginning in zip(outputs, (b'\x89PNG', b'%PDF')):
    assert output.read_bytes().startswith(beginning)


@pytest.mark.parametrize('arguments_, message', [
    ([], 'name at least one model: a model_dir'),
    (['--checkpoint=best', 'x'], "Unknown command line flag 'checkpoint'"),
    (['--smoothing=1', 'x'], 'in the range'),
])
def test_typos(repository, arguments_, message):
  result = commands.run(
      '-m', 'official_ext.analysis.training_curves', *arguments_,
      cwd=repository)
  assert result.returncode == 1
  assert message in result.stdout + result.stderr
  assert 'Traceback' not in result.stderr
