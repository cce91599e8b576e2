"""Writes a report that compares trainings, as the paper's Table 2 does.

  python -m official_ext.analysis.compare \
    ViT=runs/vit Funnel-ViT=runs/funnel_vit --output_dir=report

report.html holds the table and the curves, report.md the table: accuracy,
size, memory and speed, and how far from the first training each of the others
is. Only their configurations and event files are read, so a training in
progress can be compared too.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext import library_logs
from official_ext.analysis import arguments
from official_ext.analysis import smoothing as smoothing_lib

_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', 'report', 'Folder to write report.html and report.md to.')
# So that --help shows them.
flags.adopt_module_key_flags(library_logs)
flags.adopt_module_key_flags(smoothing_lib)


def main(argv: Sequence[str]) -> None:
  models = arguments.parse_trainings(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.analysis import report
  from official_ext.analysis import runs as runs_lib
  # pylint: enable=g-import-not-at-top
  try:
    arguments.make_folder(_OUTPUT_DIR.value)
    runs = runs_lib.load(models)
    paths = report.write(_OUTPUT_DIR.value, runs, smoothing_lib.SMOOTHING.value)
  except (ValueError, OSError, tf.errors.OpError) as error:
    library_logs.fail(error)
  for run in runs:
    print(f'{run.name}: {run.progress}')
  print(f'written: {", ".join(paths)}')


if __name__ == '__main__':
  library_logs.run(main)
