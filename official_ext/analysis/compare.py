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

from official_ext.analysis import arguments
from official_ext.analysis import saliency_flags
from official_ext.analysis import smoothing as smoothing_lib
from official_ext.command_line import errors
from official_ext.command_line import library_logs

_OUTPUT_DIR = flags.DEFINE_string(
    'output_dir', 'report', 'Folder to write report.html and report.md to.')
_IMAGES = flags.DEFINE_list(
    'images', [],
    'Image files, folders of them or TFRecords to add the saliency of.')
_NUM_IMAGES = flags.DEFINE_integer(
    'num_images', 6, 'How many of them to draw at most.', lower_bound=1)
# So that --help shows them.
flags.adopt_module_key_flags(library_logs)
flags.adopt_module_key_flags(saliency_flags)
flags.adopt_module_key_flags(smoothing_lib)


def main(argv: Sequence[str]) -> None:
  trainings = arguments.parse_models(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.analysis import report
  from official_ext.analysis import runs as runs_lib
  # pylint: enable=g-import-not-at-top
  try:
    arguments.make_folder(_OUTPUT_DIR.value)
    runs = runs_lib.load(trainings)
    grid = _saliency(trainings) if _IMAGES.value else []
    paths = report.write(
        _OUTPUT_DIR.value, runs, smoothing_lib.SMOOTHING.value, grid)
  except (ValueError, OSError, tf.errors.OpError) as error:
    errors.fail(error)
  for run in runs:
    print(f'{run.name}: {run.progress}')
  print(f'wrote {", ".join(paths)}')


def _saliency(trainings: Sequence[arguments.ModelArgument]
              ) -> list[tuple[str, str, bytes]]:
  """The figure of --images: its title, its caption and a PNG."""
  # Only here: without images nothing of a model is needed.
  # pylint: disable=g-import-not-at-top
  from official_ext.analysis import examples as examples_lib
  from official_ext.analysis import figures
  from official_ext.analysis import models as models_lib
  from official_ext.analysis import saliency_grid
  # pylint: enable=g-import-not-at-top
  with library_logs.without_prints():
    models = models_lib.load(trainings)
  examples = examples_lib.read(_IMAGES.value, _NUM_IMAGES.value, models[0])
  figure = saliency_grid.explain_examples(
      models, examples, saliency_flags.METHOD.value,
      seed=saliency_flags.SEED.value)
  steps = ', '.join(
      f'{model.name} at step {model.trained.step}' for model in models)
  return [(
      'Saliency',
      f'How strongly each pixel moves the score of the prediction, which is '
      f'below it. Checkpoints: {steps}.', figures.png(figure))]


if __name__ == '__main__':
  library_logs.run(main)
