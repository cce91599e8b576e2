"""Writes docs/results.md from the results of the studies: `make tables`.

docs/figures/studies/NAME.csv are the results of a study as they came; its
figure is drawn into docs/gallery/studies.
"""

from __future__ import annotations

import pathlib

from official_ext import figures
from official_ext.params import experiment
from official_ext.studies import page as page_lib
from official_ext.studies import results as results_lib
from official_ext.studies import study_file

DOCS = pathlib.Path(__file__).parent
RESULTS = DOCS / 'figures' / 'studies'
GALLERY = DOCS / 'gallery' / 'studies'
OUTPUT = DOCS / 'results.md'

HEAD = f"""\
# Results of studies

What the studies of `experiments/studies` say, written by `make tables` from
their results as they came ([figures](figures/studies)). How a study is run:
[studies](studies.md).

{page_lib.reading()}

"""


def page() -> str:
  """Returns the whole page."""
  texts = []
  for name in _names():
    study, results = _read(name)
    figure = (f'gallery/studies/{page_lib.figure_name(study)}'
              if page_lib.can_be_drawn(study, results) else None)
    texts.append(page_lib.text(study, results, figure))
  return HEAD + '\n'.join(texts)


def _names() -> list[str]:
  """Returns the names of the studies, those that were run first."""
  return sorted(
      experiment.shipped_studies(),
      key=lambda name: (not (RESULTS / f'{name}.csv').exists(), name))


def _read(name: str) -> tuple[study_file.Study, results_lib.Results]:
  return (study_file.read(name),
          results_lib.read(str(RESULTS / f'{name}.csv')))


if __name__ == '__main__':
  for one in _names():
    pair = _read(one)
    if page_lib.can_be_drawn(*pair):
      GALLERY.mkdir(parents=True, exist_ok=True)
      figures.save(page_lib.draw(*pair),
                   [str(GALLERY / page_lib.figure_name(pair[0]))])
  OUTPUT.write_text(page())
  print(f'wrote {OUTPUT}')
