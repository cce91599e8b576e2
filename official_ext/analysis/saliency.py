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
from official_ext.analysis import command
from official_ext.analysis import image_flags
from official_ext.analysis import model_flags
from official_ext.analysis import saliency_flags
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_TARGET = flags.DEFINE_enum(
    'target', 'prediction', ['prediction', 'label'],
    'The class whose score is explained; an image without a label has its '
    'prediction explained.')
_OUTPUT = flag_types.define_figures('output', 'saliency.png')
# So that --help shows them.
flags.adopt_module_key_flags(image_flags)
flags.adopt_module_key_flags(model_flags)
flags.adopt_module_key_flags(saliency_flags)


def main(argv: Sequence[str]) -> None:
  model_arguments = arguments.parse_models(argv)
  image_flags.require()
  with command.work(_OUTPUT.value):
    models = model_flags.load(model_arguments)
    command.save(saliency_flags.draw(
        models, image_flags.read(models[0]), _TARGET.value), _OUTPUT.value)


if __name__ == '__main__':
  library_logs.run(main)
