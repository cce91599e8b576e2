"""Tests of the command that draws what is most like a class."""

import commands
import pictures
import pytest


@pytest.mark.long
def test_activation_maximization(repository, trained_dir, tmp_path):
  path = tmp_path / 'classes.png'
  result = commands.run(
      '-m', 'official_ext.analysis.activation_maximization', trained_dir,
      '--classes=3,8', '--steps=3', f'--output={path}', cwd=repository)
  assert (result.returncode, result.stdout) == (0, f'wrote {path}\n')
  pictures.check(path, 2, 1)
