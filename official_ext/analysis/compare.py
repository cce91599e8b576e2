r"""Writes a report that compares trainings, as the paper's Table 2 does.

  python -m official_ext.analysis.compare \
    ViT=runs/vit Funnel-ViT=runs/funnel_vit --output_dir=report

report.html holds the table and the curves, report.md the table: accuracy,
size, memory and speed, and how far from the first training each of the others
is. Only their configurations and event files are read, so a training in
progress can be compared too. --images adds a grid of saliency, of each
training's newest checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import command
from official_ext.analysis import shared_flags
from official_ext.command_line import library_logs
from official_ext.command_line import output_files

_IMAGES = shared_flags.Images()
_SALIENCY = shared_flags.Saliency()
_SMOOTHING = shared_flags.define_smoothing()
_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', 'report', 'Folder to write report.html and report.md to.')


def main(argv: Sequence[str]) -> None:
  trainings = command.parse_models(argv)
  with command.work():
    # pylint: disable=g-import-not-at-top
    from official_ext.analysis import report
    from official_ext.analysis import runs as runs_lib
    # pylint: enable=g-import-not-at-top
    output_files.make_folder(
        _OUTPUT_DIR.value, f'--output_dir={_OUTPUT_DIR.value}')
    runs = runs_lib.load(trainings)
    figures = [_saliency(trainings)] if _IMAGES.patterns.value else []
    paths = report.write(
        _OUTPUT_DIR.value, runs, _SMOOTHING.value, figures)
    runs_lib.tell_progress(runs)
    command.tell_written(paths)


def _saliency(trainings: Sequence[command.ModelArgument]
              ) -> tuple[str, str, bytes]:
  """Draws --images: the title of the figure, its caption and a PNG."""
  # Only here: without images nothing of a model is needed.
  # pylint: disable=g-import-not-at-top
  from official_ext import figures
  from official_ext.analysis import models as models_lib
  # pylint: enable=g-import-not-at-top
  with library_logs.without_prints():
    models = models_lib.load(trainings)
  figure = _SALIENCY.draw(models, _IMAGES.read(models[0]))
  steps = ', '.join(
      f'{model.name} at step {model.trained.step}' for model in models)
  return ('Saliency',
          'How strongly each pixel moves the score of the prediction, which is '
          f'below it. Checkpoints: {steps}.', figures.png(figure))


if __name__ == '__main__':
  library_logs.run(main)
