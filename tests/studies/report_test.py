"""Tests of the command that reports a study."""

import commands
import short_study

from official_ext.studies import results as results_lib

MODULE = 'official_ext.studies.report'


def test_the_same_results_give_the_same_files(
    repository, digits_dir, tmp_path):
  study = short_study.write(tmp_path, digits_dir)
  path = str(tmp_path / 'results.csv')
  results_lib.begin(path, {'study': 'short', 'title': '', 'command': ''})
  for row, seed, top_1 in (('ViT', 1, 50), ('funnel max', 1, 49.5),
                           ('ViT', 2, 50.5), ('funnel max', 2, 50.25)):
    results_lib.append(path, {
        'row': row, 'seed': seed, 'status': 'finished', 'gmacs': seed,
        'top_1_percent': top_1, 'ended': '2026-11-29 10:00:00 UTC'})
  found = []
  for name in ('one', 'two'):
    result = commands.run(
        '-m', MODULE, f'--study={study}', f'--results={path}',
        f'--output_dir={tmp_path / name}', cwd=repository)
    assert result.returncode == 0, result.stderr
    assert f'wrote {tmp_path / name}/report.md and ' in result.stdout
    files = sorted((tmp_path / name).iterdir())
    assert [file.name for file in files] == ['report.md', 'short.png']
    found.append([file.read_bytes() for file in files])
  assert found[0] == found[1]
  # -0.5 and -0.25: a mean of -0.375 and t(0.975, 1) = 12.706 times 0.125.
  assert '-0.38 (-1.96 to +1.21) | 2 | **undecided**' in result.stdout


def test_results_that_are_not_there(repository, digits_dir, tmp_path):
  study = short_study.write(tmp_path, digits_dir)
  result = commands.run(
      '-m', MODULE, f'--study={study}',
      f'--results={tmp_path / "results.csv"}', cwd=repository)
  assert result.returncode == 1
  assert 'is not there, but --study=short was asked for' in result.stderr
