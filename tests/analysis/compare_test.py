"""Tests of the command that writes the report."""

import commands


def test_the_command(repository, two_runs, digits_dir, tmp_path):
  folder = tmp_path / 'new' / 'report'
  result = commands.run(
      '-m', 'official_ext.analysis.compare', *two_runs, '--smoothing=0.6',
      f'--images={digits_dir}/samples', '--num_images=2',
      f'--output_dir={folder}', cwd=repository)
  assert (result.returncode, result.stderr) == (0, '')
  assert result.stdout.splitlines() == [
      'B2(17): step 12 of 12', 'B1(17)-1(9): step 12 of 12',
      f'wrote {folder}/report.html, {folder}/report.md']
  page = (folder / 'report.html').read_text()
  assert 'Checkpoints: B2(17) at step 12, B1(17)-1(9) at step 12.' in page
  assert 'Smoothed by 0.6, raw values pale.' in (
      folder / 'report.html').read_text()
