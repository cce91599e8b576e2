"""The grid of images, their masks, and what each model segments.

Legend: H x W pixels of an image, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib import figure as figure_lib
from matplotlib import patches
import numpy as np

from official_ext import figures
from official_ext.analysis import segmenters

# How much of a pixel is the colour of its class.
_OPACITY = 0.65
_FIRST = np.array([30, 30, 30])
_IGNORED = np.array([255, 255, 255])
# Of tab20, whose strong and light colours take turns; without grey, which the
# image is drawn in.
_TAB_COLORS = [place for first in (0, 1) for place in range(first, 20, 2)
               if place not in (14, 15)]
# Rec. ITU-R BT.601, as JPEG has it.
_LUMA = np.array([0.299, 0.587, 0.114])
_LEGEND_COLUMNS = 6
# Of a row of the legend, inches.
_LEGEND_ROW = 0.22


def color(number: int) -> np.ndarray:
  """Returns the colour of a class.

  Args:
    number: of the class.

  Returns:
    Red, green and blue from 0 to 255: nearly black for class 0, which mostly
    is the background, then Matplotlib's tab20, its strong colours first; where
    that ends, what PASCAL VOC draws: the bits of the number from its lowest,
    in turn the next lower bit of each.
  """
  if number == 0:
    return _FIRST
  if number <= len(_TAB_COLORS):
    shown = matplotlib.colormaps['tab20'](_TAB_COLORS[number - 1])[:3]
    return np.rint(255 * np.array(shown)).astype(int)
  found = np.zeros(3, int)
  for bit in range(8):
    for channel in range(3):
      found[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
  return found


def overlay(image: np.ndarray, mask: np.ndarray, num_classes: int
            ) -> np.ndarray:
  """Lays the colours of classes over an image.

  Args:
    image: uint8 [H, W, 3], of which the brightness is drawn: a colour of its
      own would look like another class.
    mask: the class of each pixel, [H, W]; C and above are not drawn.
    num_classes: C.

  Returns:
    uint8 [H, W, 3], white where there is no class.
  """
  colors = np.array([color(number) for number in range(num_classes)])
  has_class = mask < num_classes
  laid = np.where(has_class[..., np.newaxis],
                  colors[np.where(has_class, mask, 0)], _IGNORED)
  brightness = (image @ _LUMA)[..., np.newaxis]
  mixed = _OPACITY * laid + (1 - _OPACITY) * brightness
  return np.rint(mixed).astype(np.uint8)


def share_right(mask: np.ndarray, predicted: np.ndarray, num_classes: int
                ) -> float | None:
  """Returns which share of the pixels that count is right; None: none count."""
  counts = mask < num_classes
  return float((mask == predicted)[counts].mean()) if counts.any() else None


def in_percent(share: float) -> str:
  """Returns a share of pixels in per cent, 100 only if it is all of them."""
  return '100 %' if share == 1 else f'{min(100 * share, 99.9):.1f} %'


def draw(models: Sequence[segmenters.Segmenter],
         examples: Sequence[segmenters.Example]) -> figure_lib.Figure:
  """Draws the grid.

  Args:
    models: at least one, of the same classes.
    examples: at least one.

  Returns:
    The figure.
  """
  names = models[0].class_names
  num_classes = len(names)
  found = [[model.segment(one.image) for one in examples] for model in models]
  figure, axes = figures.grid(2 + len(models), len(examples), [
      'image', 'mask', *(model.name for model in models)])
  for column, example in enumerate(examples):
    axes[0][column].imshow(example.image)
    axes[1][column].imshow(overlay(example.image, example.mask, num_classes))
    for row, masks in zip(axes[2:], found, strict=True):
      row[column].imshow(overlay(example.image, masks[column], num_classes))
      share = share_right(example.mask, masks[column], num_classes)
      if share is not None:
        figures.caption(row[column], f'{in_percent(share)} right')
  occurring = np.unique(np.concatenate([
      np.ravel(one) for masks in (
          [example.mask for example in examples], *found) for one in masks]))
  _add_legend(figure, [int(one) for one in occurring if one < num_classes],
              names, has_ignored=bool((occurring >= num_classes).any()))
  return figure


def _add_legend(figure: figure_lib.Figure, numbers: Sequence[int],
                names: Sequence[str], has_ignored: bool) -> None:
  """Writes below the grid which colour is which class."""
  handles = [
      patches.Patch(facecolor=color(number) / 255, edgecolor='0.6',
                    # Dollars would be formulas.
                    label=figures.shorten(names[number]).replace('$', r'\$'))
      for number in numbers]
  if has_ignored:
    handles.append(patches.Patch(
        facecolor='white', edgecolor='0.6', label='not counted'))
  width, height = figure.get_size_inches()
  num_columns = max(1, min(_LEGEND_COLUMNS, int(width / figures.CELL)))
  num_rows = -(-len(handles) // num_columns)
  figure.set_size_inches(width, height + _LEGEND_ROW * num_rows)
  figure.legend(handles=handles, loc='outside lower center', ncols=num_columns,
                fontsize=8, frameon=False)
