r"""Draws images that one model gets right and the other wrong, both ways.

  python -m official_ext.analysis.disagreement ViT=runs/vit \
    Funnel-ViT=runs/funnel_vit --data='data/imagenet/validation-*' \
    --output=disagreement.png

The paper, section 5.2.1: which images does pooling cost, which does it gain?
Counts them over a validation set, and draws those of which the model that is
right is most confident, with the saliency of both models' predictions.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import command
from official_ext.analysis import shared_flags
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_MODELS = shared_flags.Models()
_SALIENCY = shared_flags.Saliency()
_VALIDATION = shared_flags.ValidationSet()
_NUM_DRAWN = flags.DEFINE_integer(
    'num_drawn', 4, 'How many images to draw at most, of each kind.',
    lower_bound=1)
_OUTPUT = flag_types.define_figures('output', 'disagreement.png')


def main(argv: Sequence[str]) -> None:
  model_arguments = command.parse_models(argv, least=2, most=2)
  with command.work(_OUTPUT.value):
    # pylint: disable=g-import-not-at-top
    from official_ext import figures
    from official_ext.analysis import validation
    # pylint: enable=g-import-not-at-top
    models = _MODELS.load(model_arguments)
    found = validation.disagreements(
        *models, _VALIDATION.data.value,
        _VALIDATION.num_images.value, _NUM_DRAWN.value)
    print(validation.format_disagreements(found))
    if found.examples:
      command.save(_SALIENCY.draw(
          models, found.examples, titles=[
              f'only {figures.shorten(name, 17)}\nis right'
              for name in found.only_right]), _OUTPUT.value)
    else:
      print('nothing to draw: the models are right about the same images')


if __name__ == '__main__':
  library_logs.run(main)
