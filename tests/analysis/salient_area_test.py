"""Tests of the command that measures salient areas."""

import commands
import pytest


@pytest.mark.long
def test_salient_area(repository, trained_dir):
  result = commands.run(
      '-m', 'official_ext.analysis.salient_area', f'A={trained_dir}',
      f'B={trained_dir}', '--num_images=4', cwd=repository)
  assert result.returncode == 0
  assert result.stdout.startswith('4 images\n\n|  | 50 % of the saliency')
  assert result.stdout.splitlines()[-1].endswith(
      '| +0.00 ± 0.00 | +0.00 ± 0.00 |')
