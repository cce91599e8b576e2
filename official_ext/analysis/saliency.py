r"""Draws which pixels move the score of a class, model under model.

  python -m official_ext.analysis.saliency ViT=runs/vit \
    Funnel-ViT=runs/funnel_vit --images=photos --output=saliency.png

Figure 3 of the paper: the images on top and a row for each model, a model_dir
or the prefix of a checkpoint, with its prediction below, green if it is right.
Brighter pixels move the score more.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import command
from official_ext.analysis import shared_flags
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_MODELS = shared_flags.Models()
_IMAGES = shared_flags.Images()
_SALIENCY = shared_flags.Saliency()
_TARGET = flags.DEFINE_enum(
    'target', command.PREDICTION, [command.PREDICTION, command.LABEL],
    'The class whose score is explained; an image without a label has its '
    'prediction explained.')
_OUTPUT = flag_types.define_figures('output', 'saliency.png')


def main(argv: Sequence[str]) -> None:
  model_arguments = command.parse_models(argv)
  _IMAGES.require()
  with command.work(_OUTPUT.value):
    models = _MODELS.load(model_arguments)
    command.save(_SALIENCY.draw(
        models, _IMAGES.read(models[0]), _TARGET.value), _OUTPUT.value)


if __name__ == '__main__':
  library_logs.run(main)
