r"""Draws the images that models find most like some classes.

  python -m official_ext.analysis.activation_maximization ViT=runs/vit \
    Funnel-ViT=runs/funnel_vit --classes=snail,fly --output=classes.png

Activation maximisation (class visualisation), figure 5 of the paper, by
gradient ascent on the input: a column for each class, a row for each model. The
same seed draws the same picture again.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import command
from official_ext.analysis import shared_flags
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_MODELS = shared_flags.Models()
_CLASSES = flags.DEFINE_list(
    'classes', None, 'Names or numbers of classes.', required=True)
_STEPS = flags.DEFINE_integer(
    'steps', 256, 'Steps of gradient ascent.', lower_bound=1)
_STEP_SIZE = flags.DEFINE_float(
    'step_size', 0.05,
    'Root mean square of the first step, as a fraction of black to white.',
    lower_bound=1e-6)
_JITTER = flags.DEFINE_integer(
    'jitter', None,
    'Largest random shift before a step, px; 0 for none; by default a '
    'sixteenth of the image.', lower_bound=0)
_BLUR = flags.DEFINE_float(
    'blur', 0.5, 'Standard deviation of the blur, px; 0 for none.',
    lower_bound=0)
_BLUR_EVERY = flags.DEFINE_integer(
    'blur_every', 4, 'Steps from one blur to the next.', lower_bound=1)
_L2 = flags.DEFINE_float(
    'l2', 0.01, 'Strength of the pull to grey; 0 for none.', lower_bound=0)
_COLOR = flags.DEFINE_bool(
    'color', True, 'Whether to colour; not, for a data set without colours.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the noise and the jitter.')
_OUTPUT = flag_types.define_figures('output', 'classes.png')


def main(argv: Sequence[str]) -> None:
  model_arguments = command.parse_models(argv)
  with command.work(_OUTPUT.value):
    # pylint: disable=g-import-not-at-top
    from official_ext.analysis import gradient_ascent
    from official_ext.tasks import class_names
    # pylint: enable=g-import-not-at-top
    models = _MODELS.load(model_arguments)
    classes = [class_names.find(models[0].class_names, text)
               for text in _CLASSES.value]
    settings = gradient_ascent.Settings(
        steps=_STEPS.value, step_size=_STEP_SIZE.value, jitter=_JITTER.value,
        blur=_BLUR.value, blur_every=_BLUR_EVERY.value, l2=_L2.value,
        is_colored=_COLOR.value, seed=_SEED.value)
    command.save(
        gradient_ascent.draw(models, classes, settings), _OUTPUT.value)


if __name__ == '__main__':
  library_logs.run(main)
