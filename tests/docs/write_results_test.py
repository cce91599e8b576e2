"""The page of results is what the results say."""

import write_results


def test_the_page_is_what_the_results_say():
  assert write_results.OUTPUT.read_text() == write_results.page(), (
      'run make tables')


def test_every_study_is_on_the_page():
  page = write_results.page()
  assert page.count('\n## ') == len(write_results.experiment.shipped_studies())
  for path in write_results.RESULTS.glob('*.csv'):
    assert path.stem in write_results.experiment.shipped_studies()
