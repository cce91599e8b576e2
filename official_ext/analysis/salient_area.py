r"""How large is what a model looks at? Over a validation set, model by model.

  python -m official_ext.analysis.salient_area ViT=runs/vit \
    Funnel-ViT=runs/funnel_vit --data='data/imagenet/validation-*'

The paper remarks (section 5.2.1) that pooling slightly enlarges the regions
with a large effect on the score. Here they are the fewest pixels that hold a
half, or nine tenths, of an image's saliency, as a share of its pixels.
Differences are of the same images, with their 95 % confidence interval.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import arguments
from official_ext.analysis import model_flags
from official_ext.analysis import saliency_flags
from official_ext.command_line import errors
from official_ext.command_line import library_logs

_DATA = flags.DEFINE_string(
    'data', None,
    "Pattern of validation TFRecords; by default the first model's own.")
_NUM_IMAGES = flags.DEFINE_integer(
    'num_images', None, 'How many images to take; by default all.',
    lower_bound=2)
# So that --help shows them.
flags.adopt_module_key_flags(model_flags)
flags.adopt_module_key_flags(saliency_flags)


def main(argv: Sequence[str]) -> None:
  model_arguments = arguments.parse_models(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.analysis import validation
  # pylint: enable=g-import-not-at-top
  try:
    models = model_flags.load(model_arguments)
    areas = validation.salient_areas(
        models, _DATA.value, _NUM_IMAGES.value, saliency_flags.METHOD.value,
        saliency_flags.SEED.value)
  except (ValueError, OSError, tf.errors.OpError) as error:
    errors.fail(error)
  print(validation.format_areas([model.name for model in models], areas))


if __name__ == '__main__':
  library_logs.run(main)
