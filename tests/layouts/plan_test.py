"""Tests of the command that plans layouts."""

import commands
import pytest

_ARGUMENTS = {
    'two blocks': ['--num_blocks=2', '--max_gmacs=17.6', '--top=3'],
    'all flags': [
        '--num_blocks=3', '--max_gmacs=0.05', '--max_parameters_millions=1',
        '--max_activations_mib=100', '--batch_size=64', '--dtype=bfloat16',
        '--model_name=vit-nano4', '--image_size=32', '--hidden_size=128',
        '--mlp_dim=256', '--pooling=conv', '--pool_axes=grid',
        '--strides=2,4', '--max_layers=8', '--min_layers_per_block=2',
        '--num_classes=10', '--top=2'],
    'no budget': ['--num_blocks=2'],
    'too low': ['--num_blocks=2', '--max_gmacs=1'],
    'too many blocks': ['--num_blocks=10', '--max_gmacs=9'],
    'unknown preset': ['--num_blocks=2', '--max_gmacs=9', '--model_name=vit'],
    'strides': ['--num_blocks=2', '--max_gmacs=9', '--strides=two'],
    'no strides': ['--num_blocks=2', '--max_gmacs=9', '--strides='],
    'no blocks': ['--num_blocks=0', '--max_gmacs=9'],
    'no images': ['--num_blocks=2', '--max_gmacs=9', '--batch_size=0'],
    'no layers': [
        '--num_blocks=2', '--max_gmacs=9', '--min_layers_per_block=0'],
    'none': ['--num_blocks=2', '--max_gmacs=9', '--top=0'],
    'extra': ['--num_blocks=2', '--max_gmacs=9', 'B6-6'],
}


@pytest.fixture(name='plan', scope='module')
def _plan(repository):
  def plan(name):
    result = commands.run(
        '-m', 'official_ext.layouts.plan', *_ARGUMENTS[name], cwd=repository)
    return result.returncode, result.stdout, result.stderr
  return plan


def test_the_table(plan):
  # The command's own lines alone: no library logs, and no error.
  assert plan('two blocks') == (0, """\
vit-b16 at 224 px, 2 blocks, at most 36 layers
budget: 17.60 GMACs
layouts within it: 129; nearest to it, the first 3:
layout          parameters, M  GMACs  saved, MiB  of the budget
B8(197)-8(99)           114.9  17.60       150.4        100.0 %
B7(197)-10(99)          122.0  17.58       148.7         99.9 %
B6(197)-12(99)          129.1  17.56       146.9         99.8 %
saved: activations for the backward pass, of one image in float32
a budget may be exceeded by 0.05%
""", '')


def test_every_flag_counts(plan):
  code, stdout, _ = plan('all flags')
  assert code == 0
  lines = stdout.splitlines()
  assert lines[:3] == [
      'vit-nano4 at 32 px, 3 blocks, at most 8 layers',
      'budget: 0.05000 GMACs and 1.000 M parameters and 100.0 MiB of '
      'activations of 64 images',
      'layouts within it: 16; nearest to it, the first 2:']
  # Two kernels of 4 x 128, on 64 and on 16 patches.
  assert [line.rsplit(maxsplit=5) for line in lines[4:6]] == [
      ['B2(65, h128, m256)-2(17, h128, m256)-3(5, h128, m256)',
       '0.9446', '0.02839', '0.7067', '94.5', '%'],
      ['B2(65, h128, m256)-3(17, h128, m256)-2(5, h128, m256)',
       '0.9446', '0.03003', '0.7439', '94.5', '%']]
  assert lines[6].endswith('of one image in bfloat16')
  assert len(lines) == 8


@pytest.mark.parametrize('name, message', [
    ('no budget', 'no budget is set. Set at least one of --max_gmacs, '),
    ('too low', 'no layout meets the budget of 1.000 GMACs: the smallest, '
     'B1(197)-1(99), needs 2.417 GMACs. '),
    ('too many blocks', 'num_blocks is 10, but 14 x 14 patches can be pooled '),
    ('unknown preset', "model_name is 'vit', but must be one of vit-ti16, "),
])
def test_errors_are_one_line(plan, name, message):
  code, stdout, stderr = plan(name)
  assert (code, stdout) == (1, '')
  assert stderr.startswith(f'error: {message}')
  assert stderr.count('\n') == 1


@pytest.mark.parametrize('name, message', [
    ('strides', 'flag --strides=two: must be positive integers'),
    ('no strides', 'flag --strides=: name at least one number'),
    ('extra', "unexpected argument 'B6-6'"),
    ('no blocks', 'flag --num_blocks=0: 0 is not a positive integer'),
    ('no images', 'flag --batch_size=0: 0 is not a positive integer'),
    ('no layers', 'flag --min_layers_per_block=0: 0 is not a positive integer'),
    ('none', 'flag --top=0: 0 is not a positive integer'),
])
def test_wrong_flags(plan, name, message):
  code, stdout, stderr = plan(name)
  assert code == 1
  assert message in ' '.join((stdout + stderr).split())
