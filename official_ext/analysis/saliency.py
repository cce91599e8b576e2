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

from official_ext.analysis import arguments
from official_ext.analysis import model_flags
from official_ext.analysis import saliency_flags
from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_IMAGES = flags.DEFINE_list(
    'images', None,
    'Image files, folders of them or TFRecords; patterns are fine.',
    required=True)
_NUM_IMAGES = flags.DEFINE_integer(
    'num_images', 6, 'How many of them to draw at most.', lower_bound=1)
_TARGET = flags.DEFINE_enum(
    'target', 'prediction', ['prediction', 'label'],
    'The class whose score is explained; an image without a label has its '
    'prediction explained.')
_OUTPUT = flag_types.define_figures('output', 'saliency.png')
# So that --help shows them.
flags.adopt_module_key_flags(model_flags)
flags.adopt_module_key_flags(saliency_flags)


def main(argv: Sequence[str]) -> None:
  model_arguments = arguments.parse_models(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.analysis import examples as examples_lib
  from official_ext.analysis import figures
  from official_ext.analysis import saliency_grid
  # pylint: enable=g-import-not-at-top
  try:
    arguments.make_folders(_OUTPUT.value)
    models = model_flags.load(model_arguments)
    examples = examples_lib.read(_IMAGES.value, _NUM_IMAGES.value, models[0])
    figure = saliency_grid.explain_examples(
        models, examples, saliency_flags.METHOD.value, _TARGET.value,
        saliency_flags.SEED.value)
    figures.save(figure, _OUTPUT.value)
  except (ValueError, OSError, tf.errors.OpError) as error:
    errors.fail(error)
  print(f'wrote {", ".join(_OUTPUT.value)}')


if __name__ == '__main__':
  library_logs.run(main)
