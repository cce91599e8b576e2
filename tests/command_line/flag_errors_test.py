"""Tests of what is said of flags that do not parse."""

import commands
import pytest


@pytest.mark.parametrize('flag, message', [
    ('--image_size=224,225', 'must be one whole number, such as 224'),
    ('--num_classes=1e3', 'must be one whole number, such as 1000'),
    ('--image_size=0', '0 is not a positive integer'),
    ('--max_gmacs=4,5', 'must be one number, such as 1'),
])
def test_a_flag_that_is_no_number(repository, flag, message):
  result = commands.run(
      '-m', 'official_ext.layouts.plan', '--num_blocks=2', flag, cwd=repository)
  assert result.returncode == 1
  assert result.stderr.startswith(
      f'FATAL Flags parsing error: flag {flag}: {message}')


@pytest.mark.parametrize('flag, message', [
    ('--seed=1.5', 'must be one whole number, such as 1'),
    ('--num_workers=many', 'must be one whole number, such as 1'),
    ('--validation_fraction=0,1', 'must be one number, such as 0.1'),
    ('--num_workers=0', '0 is not a positive integer'),
])
def test_a_flag_of_a_conversion_that_is_no_number(repository, flag, message):
  result = commands.run(
      '-m', 'data_prep.imagenet_to_tfrecord', flag, cwd=repository)
  assert result.returncode == 1
  assert result.stderr == (
      f'FATAL Flags parsing error: flag {flag}: {message}\n'
      'Pass --helpshort or --helpfull to see help on flags.\n')


def test_a_flag_that_there_is_not(repository):
  result = commands.run(
      '-m', 'official_ext.layouts.plan', '--num_blokcs=2', cwd=repository)
  assert result.returncode == 1
  assert result.stderr == (
      "FATAL Flags parsing error: Unknown command line flag 'num_blokcs'. Did "
      'you mean: num_blocks ?\n'
      'Pass --helpshort or --helpfull to see help on flags.\n')
