"""Tests of the command that draws saliency."""

import commands
import pictures
import pytest


@pytest.mark.slow
def test_saliency(repository, trained_dir, digits_dir, tmp_path):
  png, pdf = tmp_path / 'new/saliency.png', tmp_path / 'new/saliency.pdf'
  result = commands.run(
      '-m', 'official_ext.analysis.saliency', f'ViT={trained_dir}',
      f'Funnel={trained_dir}', f'--images={digits_dir}/samples',
      '--num_images=3', '--method=integrated_gradients',
      '--target=label', f'--output={png},{pdf}', cwd=repository)
  assert (result.returncode, result.stdout, result.stderr) == (
      0, f'wrote {png}, {pdf}\n', '')
  pictures.check(png, 3, 3)
  assert pdf.read_bytes().startswith(b'%PDF')
