"""The figure of activation maximisation: a row for each model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib import figure as figure_lib

from official_ext.analysis import figures
from official_ext.analysis import gradient_ascent
from official_ext.analysis import models as models_lib
from official_ext.analysis import pixels


def draw(models: Sequence[models_lib.NamedModel], classes: Sequence[int],
         settings: gradient_ascent.Settings,
         on_step: Callable[[], None] = lambda: None) -> figure_lib.Figure:
  """Draws the images that models find most like some classes.

  Args:
    models: a row for each.
    classes: a column for each.
    settings: of the ascent.
    on_step: called after every step of every model.

  Returns:
    The figure.
  """
  figure, axes = figures.grid(
      len(models), len(classes), [model.name for model in models])
  names = models[0].class_names
  for model, cells in zip(models, axes):
    images = gradient_ascent.maximize(
        model.logits, model.image_size, classes, settings, on_step)
    probabilities = models_lib.softmax(model.logits(pixels.normalize(images)))
    for index, cell in enumerate(cells):
      cell.imshow(images[index])
      name = figures.shorten(names[classes[index]])
      probability = probabilities[index, classes[index]]
      figures.caption(cell, f'{name}\n{figures.percent(probability)}')
  return figure
