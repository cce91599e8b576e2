r"""Draws the images that models find most like some classes.

  python -m official_ext.analysis.class_visualization ViT=runs/vit \
    Funnel-ViT=runs/funnel_vit --classes=snail,fly --output=classes.png

Figure 5 of the paper, by gradient ascent on the input: a column for each
class, a row for each model. The same seed draws the same picture again.
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import flags

from official_ext.analysis import arguments
from official_ext.analysis import model_flags
from official_ext.command_line import errors
from official_ext.command_line import flag_types
from official_ext.command_line import library_logs

_CLASSES = flags.DEFINE_list(
    'classes', None, 'Names or numbers of classes.', required=True)
_STEPS = flags.DEFINE_integer(
    'steps', 256, 'Steps of gradient ascent.', lower_bound=1)
_STEP_SIZE = flags.DEFINE_float(
    'step_size', 0.05,
    'Root mean square of the first step, as a share of black to white.',
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
_DEFAULT_JITTER = 16
# So that --help shows it.
flags.adopt_module_key_flags(model_flags)


def main(argv: Sequence[str]) -> None:
  model_arguments = arguments.parse_models(argv)
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf
  import tqdm

  from official_ext.analysis import examples as examples_lib
  from official_ext.analysis import figures
  from official_ext.analysis import gradient_ascent
  from official_ext.analysis import models as models_lib
  from official_ext.trained import class_names
  # pylint: enable=g-import-not-at-top
  try:
    arguments.make_folders(_OUTPUT.value)
    models = model_flags.load(model_arguments)
    names = models[0].class_names
    classes = [class_names.find(names, text) for text in _CLASSES.value]
    figure, axes = figures.grid(
        len(models), len(classes), [model.name for model in models])
    with tqdm.tqdm(total=_STEPS.value * len(models), unit='step',
                   disable=None) as bar:
      for model, cells in zip(models, axes):
        settings = gradient_ascent.Settings(
            steps=_STEPS.value, step_size=_STEP_SIZE.value,
            jitter=(min(model.image_size) // _DEFAULT_JITTER
                    if _JITTER.value is None else _JITTER.value),
            blur=_BLUR.value, blur_every=_BLUR_EVERY.value, l2=_L2.value,
            is_colored=_COLOR.value, seed=_SEED.value)
        images = gradient_ascent.visualize(
            model.logits, model.image_size, classes, settings, bar.update)
        probabilities = models_lib.softmax(
            model.logits(examples_lib.normalize(images)))
        for index, cell in enumerate(cells):
          cell.imshow(images[index])
          name = figures.shorten(names[classes[index]])
          likelihood = probabilities[index, classes[index]]
          figures.caption(cell, f'{name}\n{figures.percent(likelihood)}')
    figures.save(figure, _OUTPUT.value)
  except (ValueError, OSError, tf.errors.OpError) as error:
    errors.fail(error)
  print(f'wrote {", ".join(_OUTPUT.value)}')


if __name__ == '__main__':
  library_logs.run(main)
