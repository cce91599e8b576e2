"""The grid of figure 3: images on top, and a row of saliency for each model."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from matplotlib import figure as figure_lib
import numpy as np

from official_ext import figures
from official_ext.analysis import command
from official_ext.analysis import examples as examples_lib
from official_ext.analysis import models as models_lib
from official_ext.analysis import pixels
from official_ext.analysis import saliency_maps

# Saliency is spiky: without it a few pixels would be all that is seen.
_BRIGHTEST_PERCENTILE = 99.0
# Images whose gradients are computed at once.
_BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True)
class _Row:
  """What one model makes of N images.

  Attributes:
    name: of the model.
    saliency: float32 [N, H, W].
    predictions: int [N], the most probable class.
    probabilities: float [N], of the prediction.
  """
  name: str
  saliency: np.ndarray
  predictions: np.ndarray
  probabilities: np.ndarray


def draw(models: Sequence[models_lib.NamedModel],
         examples: Sequence[examples_lib.Example], method: str,
         target: str = command.PREDICTION, seed: int = 0,
         titles: Sequence[str] = ()) -> figure_lib.Figure:
  """Draws the grid of some images.

  Args:
    models: at least one; the images on top are as the first one sees them.
    examples: at least one.
    method: of saliency, one of `command.SALIENCY_METHODS`.
    target: whose score, PREDICTION, or LABEL where there is one.
    seed: of the noise.
    titles: above the images, one for each; or none.

  Returns:
    The figure.

  Raises:
    ValueError: if an image cannot be decoded.
  """
  labels = [example.label for example in examples]
  class_names = models[0].class_names
  prepared = [examples_lib.prepare(examples, model) for model in models]
  rows = [_explain(model, images, labels if target == command.LABEL else (),
                   saliency_maps.Saliency(
                       model.logits, method, seed, model.normalization))
          for model, images in zip(models, prepared)]
  figure, axes = figures.grid_below_images(
      pixels.displayable(prepared[0], models[0].normalization), labels,
      class_names,
      [row.name for row in rows])
  figure.suptitle(f'saliency of the {target}: {method.replace("_", " ")}',
                  fontsize=9, color='0.3')
  for cell, text in zip(axes[0], titles):
    cell.set_title(text, fontsize=8)
  for cells, row in zip(axes[1:], rows):
    for index, cell in enumerate(cells):
      saliency = row.saliency[index]
      cell.imshow(
          saliency, cmap='inferno', vmin=0,
          vmax=np.percentile(saliency, _BRIGHTEST_PERCENTILE) or 1)
      label, predicted = labels[index], row.predictions[index]
      figures.caption(
          cell, f'{figures.shorten(class_names[predicted])}\n'
          f'{figures.percent(row.probabilities[index])}',
          None if label is None else label == predicted)
  return figure


def _explain(model: models_lib.NamedModel, images: np.ndarray,
             labels: Sequence[int | None],
             saliency_of: saliency_maps.Saliency) -> _Row:
  """Computes predictions and saliency of some images.

  Args:
    model: the model.
    images: normalised, float32 [N, H, W, 3].
    labels: whose score to explain; where there is none, the prediction's.
    saliency_of: the model's.

  Returns:
    What the model makes of them.
  """
  batches = [slice(start, start + _BATCH_SIZE)
             for start in range(0, len(images), _BATCH_SIZE)]
  probabilities = np.concatenate([
      models_lib.softmax(model.logits(images[batch])) for batch in batches])
  predictions = probabilities.argmax(axis=-1)
  classes = predictions.copy()
  for index, label in enumerate(labels):
    if label is not None:
      classes[index] = label
  saliency = np.concatenate([
      saliency_of(images[batch], classes[batch]) for batch in batches])
  return _Row(model.name, saliency, predictions, probabilities.max(axis=-1))
