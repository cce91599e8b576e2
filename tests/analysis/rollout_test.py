"""Tests of the command that draws attention rollouts."""

import commands
import pytest

COMMAND = ('-m', 'official_ext.analysis.rollout')


@pytest.mark.slow
def test_the_command(repository, trained_dir, digits_dir, tmp_path):
  output = tmp_path / 'rollout.png'
  result = commands.run(
      *COMMAND, f'A={trained_dir}', f'B={trained_dir}', '--num_images=3',
      f'--images={digits_dir}/validation-*', f'--output={output}',
      cwd=repository)
  assert (result.stdout, result.stderr) == (f'wrote {output}\n', '')
  assert output.read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize('arguments, message', [
    (['--images=photos'], 'name at least one model'),
    (['run'], 'name images with --images'),
    (['run', '--images=photos', '--residual=1'],
     '--residual=1 leaves nothing to the attention'),
    (['run', '--images=photos', '--residual=2'],
     '2.0 is not a number in the range [0, 1]'),
])
def test_what_the_command_refuses(repository, arguments, message):
  result = commands.run(*COMMAND, *arguments, cwd=repository)
  assert result.returncode == 1
  assert message in ' '.join((result.stdout + result.stderr).split())
