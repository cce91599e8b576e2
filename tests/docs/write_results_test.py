"""The page of results is what the results say, and so is the README."""

import write_results

from official_ext.studies import comparisons
from official_ext.studies import results
from official_ext.studies import study_file


def test_the_page_is_what_the_results_say():
  assert write_results.OUTPUT.read_text() == write_results.page(), (
      'run make tables')


def test_every_study_is_on_the_page():
  page = write_results.page()
  assert page.count('\n## ') == len(write_results.experiment.shipped_studies())
  for path in write_results.RESULTS.glob('*.csv'):
    assert path.stem in write_results.experiment.shipped_studies()


def test_the_readme_says_what_the_results_say():
  rows = comparisons.rows(
      study_file.read('pooling'),
      results.read(str(write_results.RESULTS / 'pooling.csv')))
  vit, mean = rows['ViT'], rows['mean']
  found = comparisons.difference(mean, vit)
  minutes = comparisons.medians(rows, 'cpu_seconds').values
  share = minutes['mean'] / minutes['ViT']
  text = (write_results.DOCS.parent / 'README.md').read_text()
  readme = ' '.join(text.split())
  assert (
      f'three blocks reach {mean.mean:.1f} % and the full length '
      f'{vit.mean:.1f} %: a difference of {found.mean:+.2f} points, 95 % '
      f'interval {found.low:+.2f} to {found.high:+.2f}, in {100 * share:.0f} % '
      'of the CPU time') in readme
  rows_of_vit = comparisons.rows(
      study_file.read('from_vit'),
      results.read(str(write_results.RESULTS / 'from_vit.csv')))
  found = comparisons.difference(
      rows_of_vit['B2-2-2 fine-tuned'], rows_of_vit['ViT fine-tuned'])
  assert (
      f'loses {-found.mean:.2f} points ({-found.high:.2f} to '
      f'{-found.low:.2f}) to the same') in readme
  found = comparisons.difference(
      rows_of_vit['B2-2-2 distilled by the fine-tuned ViT'],
      rows_of_vit['ViT fine-tuned'])
  assert (
      f'{-found.mean:.2f} ({-found.high:.2f} to {-found.low:.2f})') in readme
  assert not any(
      comparisons.compared(comparisons.difference(row, mean)) ==
      comparisons.BETTER for row in rows.values())


def test_cpu_minutes_are_of_the_same_seeds():
  minutes = comparisons.medians(comparisons.rows(
      study_file.read('pooling'),
      results.read(str(write_results.RESULTS / 'pooling.csv'))), 'cpu_seconds')
  assert minutes.seeds == [1, 2] and not minutes.apart
  assert {name: round(value / 60, 2)
          for name, value in minutes.values.items()} == {
              'ViT': 8.75, 'mean': 6.88, 'conv': 6.83, 'weighted': 6.81,
              'mean, proportional': 6.52, 'conv, proportional': 6.48,
              'weighted, proportional': 6.36}
