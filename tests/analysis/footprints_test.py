"""Tests of the command that draws footprints."""

import commands
import pytest

COMMAND = ('-m', 'official_ext.analysis.footprints')

PNG = b'\x89PNG'


def test_the_command_draws_a_layout(repository, digits_dir, tmp_path):
  output = tmp_path / 'new' / 'footprints.png'
  result = commands.run(
      *COMMAND, '--layout=B6-6(s3)', '--model_name=vit-ti16',
      '--image_size=112', f'--image={digits_dir}/samples/digit_0000_is_0.png',
      f'--output={output}', cwd=repository)
  assert result.returncode == 0, result.stderr
  assert result.stdout == f'wrote {output}\n'
  # On the grid there is no stride 3, and both the figure and we say so.
  assert result.stderr.startswith(
      'warning: Not drawn: pooling with pool_axes=grid, as block 2 (6(s3)) of '
      "layout 'B6-6(s3)': stride 3 has no window on the grid.")
  assert output.read_bytes().startswith(PNG)


@pytest.mark.long
def test_the_command_draws_a_model(repository, trained_dir, tmp_path):
  output = tmp_path / 'footprints.png'
  result = commands.run(
      *COMMAND, f'Funnel={trained_dir}', f'--output={output}', cwd=repository)
  assert (result.stdout, result.stderr) == (f'wrote {output}\n', '')
  assert output.read_bytes().startswith(PNG)


@pytest.mark.parametrize('arguments, message', [
    ([], 'name a layout, as in --layout=B4-4-4, or the model_dir of a model'),
    (['--layout=B4-4', 'run'], "--layout=B4-4 and the model 'run': name one"),
    (['run', '--image_size=64'],
     '--image_size belongs to --layout; run has its own. Leave it out'),
    (['one', 'two'], 'name one model'),
])
def test_what_the_command_refuses(repository, arguments, message):
  result = commands.run(*COMMAND, *arguments, cwd=repository)
  assert result.returncode == 1
  assert message in result.stdout + result.stderr
