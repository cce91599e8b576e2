"""The grid of figure 3: images on top, and a row of saliency for each model."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from matplotlib import figure as figure_lib
import numpy as np

from official_ext.analysis import examples as examples_lib
from official_ext.analysis import figures
from official_ext.analysis import models as models_lib
from official_ext.analysis import pixels
from official_ext.analysis import saliency_maps

PREDICTION = 'prediction'
LABEL = 'label'

# Saliency is spiky: without it a few pixels would be all that is seen.
_BRIGHTEST_PERCENTILE = 99.0
# Images whose gradients are computed at once.
_BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True)
class Row:
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


def explain(model: models_lib.NamedModel, images: np.ndarray,
            labels: Sequence[int | None], method: str, target: str = PREDICTION,
            seed: int = 0) -> Row:
  """Computes predictions and saliency of some images.

  Args:
    model: the model.
    images: normalised, float32 [N, H, W, 3].
    labels: of the images; None where they are not known.
    method: of saliency.
    target: whose score: PREDICTION, or LABEL where there is one.
    seed: of the noise.

  Returns:
    What the model makes of them.
  """
  saliency_of = saliency_maps.Saliency(model.logits, method, seed)
  saliency, predictions, probabilities = [], [], []
  for start in range(0, len(images), _BATCH_SIZE):
    batch = images[start:start + _BATCH_SIZE]
    probs = models_lib.softmax(model.logits(batch))
    predicted = probs.argmax(axis=-1)
    classes = predicted.copy()
    if target == LABEL:
      for index, label in enumerate(labels[start:start + len(batch)]):
        classes[index] = predicted[index] if label is None else label
    saliency.append(saliency_of(batch, classes))
    predictions.append(predicted)
    probabilities.append(probs.max(axis=-1))
  return Row(model.name, *map(np.concatenate,
                              (saliency, predictions, probabilities)))


def draw(images: np.ndarray, labels: Sequence[int | None], rows: Sequence[Row],
         class_names: Sequence[str], title: str,
         column_titles: Sequence[str] = ()) -> figure_lib.Figure:
  """Draws the grid.

  Args:
    images: as the first model sees them, normalised, [N, H, W, 3].
    labels: of the images; None where they are not known.
    rows: what the models make of them.
    class_names: a name for each class.
    title: of the figure.
    column_titles: above the images, one for each; or none.

  Returns:
    The figure.
  """
  figure, axes = figures.grid(
      1 + len(rows), len(images), ['image', *(row.name for row in rows)])
  figure.suptitle(title, fontsize=9, color='0.3')
  shown = pixels.displayable(images)
  for cell, image, label in zip(axes[0], shown, labels):
    cell.imshow(image)
    figures.caption(
        cell, '' if label is None else figures.shorten(class_names[label]))
  for cell, text in zip(axes[0], column_titles):
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


def explain_examples(
    models: Sequence[models_lib.NamedModel],
    examples: Sequence[examples_lib.Example], method: str,
    target: str = PREDICTION, seed: int = 0,
    titles: Sequence[str] = ()) -> figure_lib.Figure:
  """Draws the grid of some examples.

  Args:
    models: at least one.
    examples: at least one.
    method: of saliency.
    target: whose score.
    seed: of the noise.
    titles: above the images, one for each; or none.

  Returns:
    The figure.

  Raises:
    ValueError: if an image cannot be decoded.
  """
  labels = [example.label for example in examples]
  prepared = [examples_lib.prepare(examples, model) for model in models]
  rows = [explain(model, images, labels, method, target, seed)
          for model, images in zip(models, prepared)]
  return draw(
      prepared[0], labels, rows, models[0].class_names,
      f'saliency of the {target}: {method.replace("_", " ")}', titles)
