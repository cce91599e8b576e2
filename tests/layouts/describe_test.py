"""Tests of the command that prints what layouts cost."""

import commands

DESCRIBE = ('-m', 'official_ext.layouts.describe')


def test_the_table(repository):
  result = commands.run(*DESCRIBE, 'B12', 'B6-6', cwd=repository)
  # The multiply-adds and parameters of B12 are those of ViT-B/16.
  assert (result.returncode, result.stderr) == (0, '')
  assert result.stdout == """\
layout         parameters, M  GMACs  of the first  saved, MiB
B12(197)                86.6  17.56         100 %       155.2
B6(197)-6(99)           86.6  13.27          76 %       113.7
saved: activations for the backward pass, of one image in float32
"""


def test_flags_of_the_model_count(repository):
  result = commands.run(
      *DESCRIBE, 'B2-2', '--model_name=vit-nano4', '--image_size=32',
      '--num_classes=10', cwd=repository)
  assert result.returncode == 0
  assert result.stdout.splitlines()[1].startswith('B2(65)-2(33) ')
  # Of 196 patches their 768 normalised values and 2 scores are saved too.
  result = commands.run(
      *DESCRIBE, 'B6-6', '--pooling=weighted', cwd=repository)
  assert result.returncode == 0
  assert result.stdout.splitlines()[1].split()[-1] == (
      f'{113.7 + 196 * 770 * 4 / 2**20:.1f}') == '114.3'
  # A grid has no window of three tokens; a sequence has.
  for axes, code in (('sequence', 0), ('grid', 1)):
    result = commands.run(
        *DESCRIBE, 'B2-2(s3)', f'--pool_axes={axes}', cwd=repository)
    assert result.returncode == code, result.stderr


def test_errors(repository):
  result = commands.run(*DESCRIBE, 'B12', 'B6-6(300)', cwd=repository)
  assert (result.returncode, result.stdout) == (1, '')
  assert result.stderr.startswith('error: ')
  assert result.stderr.count('\n') == 1
  result = commands.run(*DESCRIBE, 'B12', '--image_size=225', cwd=repository)
  assert (result.returncode, result.stdout) == (1, '')
  assert result.stderr == (
      'error: --image_size is 225 x 225 px, which patches of 16 px do not '
      'fill: 1 px at the bottom and 1 px at the right of every image would be '
      'lost. Choose 224 or 240.\n')
  result = commands.run(*DESCRIBE, cwd=repository)
  assert result.returncode == 1
  assert 'name at least one layout' in result.stdout + result.stderr
