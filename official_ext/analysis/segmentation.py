r"""Draws images with their masks and what models segment, model under model.

  python -m official_ext.analysis.segmentation ViT=runs/vit \
    Funnel-ViT=runs/funnel_vit --output=segmentation.png

The images on top, below them their masks and a row for each model, a model_dir
or the prefix of a checkpoint, with the share of the pixels that are right; and
the colours of the classes. Masks are at the size of the images, as the
evaluation counts them.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import command
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_CHECKPOINT = flags.DEFINE_enum(
    'checkpoint', 'latest', ['latest', 'best'],
    'Which checkpoint of a model_dir.')
_EMA = flags.DEFINE_bool(
    'ema', None,
    'Whether to take the moving averages of the weights; by default where the '
    'training keeps them.')
_DATA = flags.DEFINE_string(
    'data', None,
    "Pattern of TFRecords; by default the first model's validation data.")
_NUM_IMAGES = flags.DEFINE_integer(
    'num_images', 6, 'How many images to draw at most.', lower_bound=1)
_OUTPUT = flag_types.define_figures('output', 'segmentation.png')


def main(argv: Sequence[str]) -> None:
  arguments = command.parse_models(argv)
  with command.work(_OUTPUT.value):
    # pylint: disable=g-import-not-at-top
    from official_ext.analysis import mask_grid
    from official_ext.analysis import segmenters

    # pylint: enable=g-import-not-at-top
    with library_logs.without_prints():
      models = segmenters.load(arguments, _CHECKPOINT.value, _EMA.value)
    examples = segmenters.read(models[0], _NUM_IMAGES.value, _DATA.value)
    command.save(mask_grid.draw(models, examples), _OUTPUT.value)


if __name__ == '__main__':
  library_logs.run(main)
