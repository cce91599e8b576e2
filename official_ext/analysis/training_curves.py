r"""Draws how trainings went, as the paper's Figure 4 does.

  python -m official_ext.analysis.training_curves \
    ViT=runs/vit Funnel-ViT=runs/funnel_vit --output=curves.png

Training loss and validation top-1 by steps and by training time, of finished
trainings and of those in progress. Only their event files are read.
"""

from __future__ import annotations

from collections.abc import Sequence

from official_ext.analysis import command
from official_ext.analysis import shared_flags
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_SMOOTHING = shared_flags.define_smoothing()
_OUTPUT = flag_types.define_figures('output', 'curves.png')


def main(argv: Sequence[str]) -> None:
  trainings = command.parse_models(argv)
  with command.work(_OUTPUT.value):
    # pylint: disable=g-import-not-at-top
    from official_ext.analysis import curves
    from official_ext.analysis import runs as runs_lib
    # pylint: enable=g-import-not-at-top
    runs = runs_lib.load(trainings)
    figure = curves.draw(runs, _SMOOTHING.value)
    runs_lib.tell_progress(runs)
    command.save(figure, _OUTPUT.value)


if __name__ == '__main__':
  library_logs.run(main)
