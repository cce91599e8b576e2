r"""Draws what the class token is made of: attention rollout through the pools.

  python -m official_ext.analysis.rollout ViT=runs/vit Funnel=runs/funnel \
    --images=photos --output=rollout.png

The images are on top, then a row for each model: how large a share of what
the head reads is from each patch, as a multiple of the mean patch's, and below
it the prediction, in green where it is right. `attention_rollout` says what is
computed.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app
from absl import flags

from official_ext.analysis import arguments
from official_ext.analysis import model_flags
from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_IMAGES = flags.DEFINE_list(
    'images', [], 'Image files, folders of them or TFRecords, with commas.')
_NUM_IMAGES = flags.DEFINE_integer(
    'num_images', 6, 'How many images to take of them.', lower_bound=1)
_RESIDUAL = flags.DEFINE_float(
    'residual', 0.5,
    'How much of a token passes a layer by; the rest is what its attention '
    'gathers.', lower_bound=0, upper_bound=1)
_OUTPUT = flag_types.define_figures('output', 'rollout.png')
# So that --help shows them.
flags.adopt_module_key_flags(model_flags)


def main(argv: Sequence[str]) -> None:
  models = arguments.parse_models(argv)
  if not _IMAGES.value:
    raise app.UsageError(
        'name images with --images: files, folders of them or TFRecords')
  if _RESIDUAL.value == 1:
    raise app.UsageError(
        '--residual=1 leaves nothing to the attention. Name a number below 1')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.analysis import attention_rollout
  from official_ext.analysis import examples as examples_lib
  from official_ext.analysis import figures
  from official_ext.analysis import rollout_figure
  # pylint: enable=g-import-not-at-top
  try:
    arguments.make_folders(_OUTPUT.value)
    loaded = model_flags.load(models)
    for model in loaded:
      attention_rollout.traceable(model)
    examples = examples_lib.read(_IMAGES.value, _NUM_IMAGES.value, loaded[0])
    rows = [rollout_figure.make_row(model, examples, _RESIDUAL.value)
            for model in loaded]
    figure = rollout_figure.draw(
        rows, [example.label for example in examples], loaded[0].class_names)
    figures.save(figure, _OUTPUT.value)
  except (ValueError, OSError, tf.errors.OpError) as error:
    errors.fail(error)
  print(f'wrote {", ".join(_OUTPUT.value)}')


if __name__ == '__main__':
  library_logs.run(main)
