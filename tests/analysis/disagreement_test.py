"""Tests of the command that draws disagreements."""

import commands
import pytest


@pytest.mark.long
def test_disagreement(repository, trained_dir, tmp_path):
  path = tmp_path / 'disagreement.png'
  result = commands.run(
      '-m', 'official_ext.analysis.disagreement', f'A={trained_dir}',
      f'B={trained_dir}', '--num_images=10', f'--output={path}', cwd=repository)
  assert result.returncode == 0
  assert result.stdout.endswith(
      'nothing to draw: the models are right about the same images\n')
  assert not path.exists()
