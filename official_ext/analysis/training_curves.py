r"""Draws how trainings went, as the paper's Figure 4 does.

  python -m official_ext.analysis.training_curves \
    ViT=runs/vit Funnel-ViT=runs/funnel_vit --output=curves.png

Training loss and validation top-1 by steps and by training time, of finished
trainings and of those in progress. Only their event files are read.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import arguments
from official_ext.analysis import smoothing as smoothing_lib
from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_OUTPUT = flag_types.define_figures('output', 'curves.png')
# So that --help shows them.
flags.adopt_module_key_flags(library_logs)
flags.adopt_module_key_flags(smoothing_lib)


def main(argv: Sequence[str]) -> None:
  models = arguments.parse_models(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.analysis import curves
  from official_ext.analysis import figures
  from official_ext.analysis import runs as runs_lib
  # pylint: enable=g-import-not-at-top
  try:
    arguments.make_folders(_OUTPUT.value)
    runs = runs_lib.load(models)
    figures.save(
        curves.draw(runs, smoothing_lib.SMOOTHING.value), _OUTPUT.value)
  except (ValueError, OSError, tf.errors.OpError) as error:
    errors.fail(error)
  for run in runs:
    print(f'{run.name}: {run.progress}')
  print(f'wrote {", ".join(_OUTPUT.value)}')


if __name__ == '__main__':
  library_logs.run(main)
