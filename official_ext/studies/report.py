"""Reports what a study says: tables, verdicts and a figure.

  python -m official_ext.studies.report --study=paper_claims

Writes report.md and a figure beside the results, from these and the file of
the study alone: the same results give the same files, bit for bit. What is not
run yet is said, so it can be asked for at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
import os

from absl import flags

from official_ext.command_line import errors
from official_ext.command_line import library_logs

_STUDY = flags.DEFINE_string(
    'study', None, "A study's YAML file, or the name of one that is shipped.",
    required=True)
_RESULTS = flags.DEFINE_string(
    'results', None, 'The file of its results; by default results.csv in '
    'runs/studies/ and the name of the study.')
_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', None, 'Where to write report.md and the figure; by default '
    'beside the results.')

_FILE = 'report.md'


def main(argv: Sequence[str]) -> None:
  errors.refuse_arguments(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official_ext import figures
  from official_ext.benchmarks import csv_file
  from official_ext.studies import page
  from official_ext.studies import results as results_lib
  from official_ext.studies import study_file
  # pylint: enable=g-import-not-at-top
  with errors.reported():
    study = study_file.read(_STUDY.value)
    path = _RESULTS.value or page.results_path(
        os.path.join('runs', 'studies', study.name))
    results = results_lib.read(path)
    page.check(study, results, path)
    folder = _OUTPUT_DIR.value or os.path.dirname(path) or '.'
    report = os.path.join(folder, _FILE)
    csv_file.check_writable(report, '--output_dir')
    written, figure = [report], None
    if page.can_be_drawn(study, results):
      figure = page.figure_name(study)
      written.append(os.path.join(folder, figure))
      figures.save(page.draw(study, results), written[1:])
    text = page.text(study, results, figure)
    with open(report, 'w', encoding='utf-8') as file:
      file.write(f'{text}\n{page.reading()}\n')
  print(f'{text}\nwrote {" and ".join(written)}')


if __name__ == '__main__':
  library_logs.run(main)
