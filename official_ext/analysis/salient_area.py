r"""How large is what a model looks at? Over a validation set, model by model.

  python -m official_ext.analysis.salient_area ViT=runs/vit \
    Funnel-ViT=runs/funnel_vit --data='data/imagenet/validation-*'

The paper remarks (section 5.2.1) that pooling slightly enlarges the regions
with a large effect on the score. Here they are the fewest pixels that hold a
half, or nine tenths, of an image's saliency, as a fraction of its pixels.
Differences are of the same images, with their 95 % confidence interval.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app

from official_ext.analysis import command
from official_ext.analysis import shared_flags
from official_ext.command_line import library_logs

_MODELS = shared_flags.Models()
_SALIENCY = shared_flags.Saliency()
_VALIDATION = shared_flags.ValidationSet()


def main(argv: Sequence[str]) -> None:
  model_arguments = command.parse_models(argv)
  if _VALIDATION.num_images.value == 1:
    raise app.UsageError(
        '--num_images=1 has no confidence interval. Take 2 images or more')
  with command.work():
    from official_ext.analysis import validation  # pylint: disable=g-import-not-at-top
    models = _MODELS.load(model_arguments)
    areas = validation.salient_areas(
        models, _VALIDATION.data.value, _VALIDATION.num_images.value,
        _SALIENCY.method.value, _SALIENCY.seed.value)
  print(validation.format_areas([model.name for model in models], areas))


if __name__ == '__main__':
  library_logs.run(main)
