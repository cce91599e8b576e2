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

from official_ext.analysis import arguments
from official_ext.analysis import command
from official_ext.analysis import model_flags
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

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
# So that --help shows them.
flags.adopt_module_key_flags(model_flags)


def main(argv: Sequence[str]) -> None:
  models = _parse(argv)
  with command.work(_OUTPUT.value):
    from official_ext.analysis import footprints_figure  # pylint: disable=g-import-not-at-top
    with library_logs.without_prints():
      if models:
        rows, image, notes = *_of_model(models), []
      else:
        rows, image, notes = _of_layout()
    figure = footprints_figure.draw(rows, image, notes)
    for note in notes:
      logging.warning(note)
    command.save(figure, _OUTPUT.value)


def _parse(argv: Sequence[str]) -> list[arguments.ModelArgument]:
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
  models = arguments.parse_models(argv, most=1)
  for name, value in (('model_name', _MODEL_NAME.value),
                      ('image_size', _IMAGE_SIZE.value)):
    if value is not None:
      raise app.UsageError(
          f'--{name} belongs to --layout; {argv[1]} has its own. Leave it '
          'out')
  return models


def _of_layout():
  """The rows of a layout, the image, and what cannot be drawn."""
  # pylint: disable=g-import-not-at-top
  from official_ext.analysis import footprints_figure
  # pylint: enable=g-import-not-at-top
  side_px = _IMAGE_SIZE.value or 224
  rows, notes = footprints_figure.rows_of_layout(
      _LAYOUT.value, _MODEL_NAME.value or 'vit-b16', side_px)
  image = (footprints_figure.read_square(_IMAGE.value, side_px)
           if _IMAGE.value else None)
  return rows, image, notes


def _of_model(models: Sequence[arguments.ModelArgument]):
  """The row of a trained model, and the image as its evaluation crops it."""
  # pylint: disable=g-import-not-at-top
  from official_ext.analysis import attention_rollout
  from official_ext.analysis import examples as examples_lib
  from official_ext.analysis import footprints_figure
  from official_ext.analysis import pixels
  # pylint: enable=g-import-not-at-top
  model, = model_flags.load(models)
  spec = attention_rollout.traceable(model).spec
  image = None
  if _IMAGE.value:
    examples = examples_lib.read([_IMAGE.value], 1, model)
    image, = pixels.displayable(examples_lib.prepare(examples, model))
  return [footprints_figure.Row(model.name, spec)], image


if __name__ == '__main__':
  library_logs.run(main)
