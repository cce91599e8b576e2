r"""Draws images that one model gets right and the other wrong, both ways.

  python -m official_ext.analysis.disagreement ViT=runs/vit \
    Funnel-ViT=runs/funnel_vit --data='data/imagenet/validation-*' \
    --output=disagreement.png

The paper, section 5.2.1: which images does pooling cost, which does it gain?
Counts them over a validation set, and draws those of which the model that is
right is surest, with the saliency of both models' predictions.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import arguments
from official_ext.analysis import model_flags
from official_ext.analysis import saliency_flags
from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_DATA = flags.DEFINE_string(
    'data', None,
    "Pattern of validation TFRecords; by default the first model's own.")
_NUM_IMAGES = flags.DEFINE_integer(
    'num_images', None, 'How many images to classify; by default all.',
    lower_bound=1)
_NUM_DRAWN = flags.DEFINE_integer(
    'num_drawn', 4, 'How many images to draw at most, of each kind.',
    lower_bound=1)
_OUTPUT = flag_types.define_figures('output', 'disagreement.png')
# So that --help shows them.
flags.adopt_module_key_flags(model_flags)
flags.adopt_module_key_flags(saliency_flags)


def main(argv: Sequence[str]) -> None:
  model_arguments = arguments.parse_models(argv, least=2, most=2)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.analysis import figures
  from official_ext.analysis import saliency_grid
  from official_ext.analysis import validation
  # pylint: enable=g-import-not-at-top
  try:
    arguments.make_folders(_OUTPUT.value)
    models = model_flags.load(model_arguments)
    found = validation.disagreements(
        models[0], models[1], _DATA.value, _NUM_IMAGES.value,
        _NUM_DRAWN.value)
    print(validation.format_disagreements(found))
    if not found.examples:
      print('nothing to draw: the models are right about the same images')
      return
    figures.save(saliency_grid.explain_examples(
        models, found.examples, saliency_flags.METHOD.value,
        seed=saliency_flags.SEED.value,
        titles=found.titles), _OUTPUT.value)
  except (ValueError, OSError, tf.errors.OpError) as error:
    errors.fail(error)
  print(f'wrote {", ".join(_OUTPUT.value)}')


if __name__ == '__main__':
  library_logs.run(main)
