r"""Draws which patches the tokens of every block stand for.

  python -m official_ext.analysis.footprints --layout=B4-4-4 \
    --image=photo.jpg --output=footprints.png

A column for each block; pooling along the sequence above pooling on the grid.
With a model_dir instead of --layout it is the model as it was trained:

  python -m official_ext.analysis.footprints runs/digits --image=digit.png
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app
from absl import flags
from absl import logging

from official_ext.analysis import command
from official_ext.analysis import shared_flags
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_MODELS = shared_flags.Models()
_LAYOUT = flags.DEFINE_string(
    'layout', None, "A layout such as 'B4-4-4', instead of a model.")
_MODEL_NAME = flags.DEFINE_string(
    'model_name', None, 'The preset of the layout; by default vit-b16.')
_IMAGE_SIZE = flags.DEFINE_integer(
    'image_size', None,
    'Side of the images of the layout, px; by default 224.', lower_bound=1)
_IMAGE = flags.DEFINE_string(
    'image', None, 'An image to lay under the tokens; by default none.')
_OUTPUT = flag_types.define_figures('output', 'footprints.png')


def main(argv: Sequence[str]) -> None:
  models = _parse(argv)
  with command.work(_OUTPUT.value):
    # pylint: disable=g-import-not-at-top
    from official_ext.analysis import attention_rollout
    from official_ext.analysis import examples as examples_lib
    from official_ext.analysis import footprints_figure
    from official_ext.analysis import pixels
    # pylint: enable=g-import-not-at-top
    image, notes = None, []
    if models:
      model, = _MODELS.load(models)
      rows = [footprints_figure.Row(
          model.name, attention_rollout.traceable(model).spec)]
      if _IMAGE.value:
        examples = examples_lib.read([_IMAGE.value], 1, model)
        image, = pixels.displayable(
            examples_lib.prepare(examples, model), model.normalization)
    else:
      side_px = _IMAGE_SIZE.value or 224
      rows, notes = footprints_figure.rows_of_layout(
          _LAYOUT.value, _MODEL_NAME.value or 'vit-b16', side_px)
      if _IMAGE.value:
        image = footprints_figure.read_square(_IMAGE.value, side_px)
    figure = footprints_figure.draw(rows, image, notes)
    for note in notes:
      logging.warning(note)
    command.save(figure, _OUTPUT.value)


def _parse(argv: Sequence[str]) -> list[command.ModelArgument]:
  """Returns the model of the command line; none if --layout is given."""
  if _LAYOUT.value is not None:
    if len(argv) > 1:
      raise app.UsageError(
          f'--layout={_LAYOUT.value} and the model {argv[1]!r}: name one of '
          'the two')
    return []
  if len(argv) < 2:
    raise app.UsageError(
        'name a layout, as in --layout=B4-4-4, or the model_dir of a model')
  models = command.parse_models(argv, most=1)
  for name, value in (('model_name', _MODEL_NAME.value),
                      ('image_size', _IMAGE_SIZE.value)):
    if value is not None:
      raise app.UsageError(
          f'--{name} belongs to --layout; {argv[1]} has its own. Leave it '
          'out')
  return models


if __name__ == '__main__':
  library_logs.run(main)
