"""The look that all figures share, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence
import io

import matplotlib

matplotlib.use('Agg')
# pylint: disable=g-import-not-at-top
from matplotlib import axes as axes_lib
from matplotlib import figure as figure_lib
from matplotlib import pyplot

# pylint: enable=g-import-not-at-top

# Pixels of an inch.
DPI = 150
# Side of one image of a grid, inches.
CELL = 1.5
# So that a title fits above one image.
_LEAST_WIDTH = 3.8


def grid(num_rows: int, num_columns: int,
         row_names: Sequence[str]) -> tuple[figure_lib.Figure, list[list]]:
  """Makes a grid of images, one name per row.

  Args:
    num_rows: how many rows.
    num_columns: how many columns.
    row_names: printed left of the rows.

  Returns:
    The figure, and the axes by row and column.
  """
  figure, axes = pyplot.subplots(
      num_rows, num_columns, squeeze=False, layout='constrained',
      figsize=(max(_LEAST_WIDTH, CELL * num_columns + 0.6),
               (CELL + 0.5) * num_rows))
  for row, name in zip(axes, row_names, strict=True):
    row[0].set_ylabel(shorten(name), fontsize=9)
    for cell in row:
      cell.set_xticks([])
      cell.set_yticks([])
      for spine in cell.spines.values():
        spine.set_visible(False)
  return figure, [list(row) for row in axes]


def grid_below_images(
    images: Sequence, labels: Sequence[int | None],
    class_names: Sequence[str], row_names: Sequence[str]
) -> tuple[figure_lib.Figure, list[list]]:
  """Makes a grid with images and their classes on top, and rows below them.

  Args:
    images: RGB from 0 to 1, [height, width, 3] each; one per column.
    labels: the class of each image; None where it is not known.
    class_names: a name for each class.
    row_names: printed left of the rows below.

  Returns:
    The figure, and the axes by row and column, the images' row first.
  """
  figure, axes = grid(
      1 + len(row_names), len(labels), ['image', *row_names])
  for cell, image, label in zip(axes[0], images, labels):
    cell.imshow(image)
    if label is not None:
      caption(cell, shorten(class_names[label]))
  return figure, axes


def caption(axes: axes_lib.Axes, text: str, is_right: bool | None = None
            ) -> None:
  """Writes below an image, marked if it is right or wrong.

  Args:
    axes: of the image.
    text: what to write.
    is_right: whether it is; None if that is not known.
  """
  mark, color = {None: ('', '0.2'), True: (' \u2713', '#2d6a4f'),
                 False: (' \u2717', '#c1121f')}[is_right]
  # A name may hold dollars, between which Matplotlib reads formulas.
  axes.set_xlabel(text + mark, fontsize=8, color=color, parse_math=False)


def percent(probability: float) -> str:
  """Formats a probability in per cent, with a decimal where it is small."""
  return f'{100 * probability:.{0 if probability >= 0.0995 else 1}f} %'


def shorten(text: str, length: int = 22) -> str:
  """Returns a name, cut to fit below an image."""
  return text if len(text) <= length else text[:length - 1].rstrip() + '\u2026'


def save(figure: figure_lib.Figure, paths: Sequence[str]) -> None:
  """Writes a figure, each file in the format of its ending, and closes it."""
  for path in paths:
    figure.savefig(path, dpi=DPI)
  pyplot.close(figure)


def png(figure: figure_lib.Figure) -> bytes:
  """Returns the bytes of a figure's PNG, and closes the figure."""
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png', dpi=DPI)
  pyplot.close(figure)
  return buffer.getvalue()
