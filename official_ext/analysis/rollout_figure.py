"""The figure of attention rollouts: images on top, a row for each model.

Legend: N images, H x W the grid of patches.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from matplotlib import axes as axes_lib
from matplotlib import cm
from matplotlib import colors
from matplotlib import figure as figure_lib
import numpy as np

from official_ext import figures
from official_ext.analysis import attention_rollout
from official_ext.analysis import examples as examples_lib
from official_ext.analysis import models as models_lib
from official_ext.analysis import pixels

# Room for the names and the colour bar, and below each image, inches.
_SIDES, _CAPTION = 1.1, 0.25
_COLORS = 'inferno'
_OPACITY = 0.6


@dataclasses.dataclass(frozen=True)
class Row:
  """What a model makes of the images.

  Attributes:
    name: of the model.
    images: RGB from 0 to 1, [N, height, width, 3].
    weights: of each patch in the image representation, as a multiple of the
      mean patch's, [N, H, W].
    patch_size: side of a patch, px.
    predictions: the class that the model takes each image for.
  """
  name: str
  images: np.ndarray
  weights: np.ndarray
  patch_size: int
  predictions: list[int]


def make_row(model: models_lib.NamedModel,
             examples: Sequence[examples_lib.Example],
             residual: float) -> Row:
  """Traces a model on images.

  Args:
    model: with a backbone that `attention_rollout.traceable` takes.
    examples: N images.
    residual: the weight of a token itself in each layer, from 0 to 1.

  Returns:
    A row of the figure.
  """
  backbone = attention_rollout.traceable(model)
  images = examples_lib.prepare(examples, model)
  predictions = np.argmax(model.logits(images), axis=-1).tolist()
  maps = attention_rollout.patch_map(
      attention_rollout.rollout(backbone, images, residual), backbone.spec)
  return Row(
      model.name, pixels.displayable(images, model.normalization),
      maps / maps.mean(axis=(1, 2), keepdims=True), backbone.spec.patch_size,
      predictions)


def draw(rows: Sequence[Row], labels: Sequence[int | None],
         class_names: Sequence[str]) -> figure_lib.Figure:
  """Draws the images, and the rollouts of every model over them.

  Args:
    rows: the models; the images on top are the first one's.
    labels: the class of each image; None where it is not known.
    class_names: a name for each class.

  Returns:
    The figure; all rollouts are in the same colours.
  """
  figure, axes = figures.grid_below_images(
      rows[0].images, labels, class_names, [row.name for row in rows])
  height, width = rows[0].images.shape[1:3]
  figure.set_size_inches(
      figures.CELL * len(labels) + _SIDES,
      (figures.CELL * height / width + _CAPTION) * (1 + len(rows)))
  scale = colors.Normalize(
      min(row.weights.min() for row in rows),
      max(row.weights.max() for row in rows))
  mapped = cm.ScalarMappable(scale, _COLORS)
  for row, cells in zip(rows, axes[1:]):
    for cell, image, weights, prediction, label in zip(
        cells, row.images, row.weights, row.predictions, labels):
      _draw_cell(cell, image, mapped.to_rgba(weights)[..., :3], row.patch_size)
      figures.caption(
          cell, figures.shorten(class_names[prediction]),
          None if label is None else prediction == label)
  # Beside all rows, so that they stay in line, but as high as the models'.
  bar = figure.colorbar(
      mapped, ax=[cell for cells in axes for cell in cells], anchor=(0, 0),
      shrink=len(rows) / (1 + len(rows)), aspect=14 * len(rows),
      fraction=0.25 / len(labels), pad=0.05 / len(labels))
  bar.set_label('share of a patch, 1: the mean', fontsize=8)
  bar.ax.tick_params(labelsize=7)
  bar.outline.set_visible(False)
  return figure


def _draw_cell(cell: axes_lib.Axes, image: np.ndarray, heat: np.ndarray,
               patch_size: int) -> None:
  """Lays colours [H, W, 3] over the patches of an image in grey."""
  shown = np.repeat(
      pixels.luminance(image)[..., np.newaxis], 3, axis=-1)
  # [H, W, 3] -> [H * patch_size, W * patch_size, 3]
  heat = heat.repeat(patch_size, axis=0).repeat(patch_size, axis=1)
  # The pixels that are left over at the right and below are in no patch.
  height, width = heat.shape[:2]
  shown[:height, :width] *= 1 - _OPACITY
  shown[:height, :width] += _OPACITY * heat
  cell.imshow(np.clip(shown, 0, 1))
