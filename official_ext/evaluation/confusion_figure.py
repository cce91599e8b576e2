"""The picture of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import colors
from matplotlib import figure as figure_lib
from matplotlib import pyplot
import numpy as np

from official_ext import figures
from official_ext.evaluation import confusion

# With more rows the counts would overlap.
_MAX_COUNTED_ROWS = 15
# Shares above this are dark.
_DARK = 0.4


def draw(grouped: confusion.Grouped, class_names: Sequence[str]
                   ) -> figure_lib.Figure:
  """Draws a confusion matrix: how the images of a class are classified.

  Args:
    grouped: the matrix.
    class_names: a name for each class.

  Returns:
    The figure; every row is of 100 %.
  """
  names = [figures.shorten(name) for name in grouped.names(class_names)]
  totals = grouped.counts.sum(axis=1, keepdims=True)
  shares = grouped.counts / np.maximum(1, totals)
  side = 3.2 + 0.32 * len(names)
  figure, axes = pyplot.subplots(
      layout='constrained', figsize=(side + 0.8, side))
  # So that what is confused seldom can be seen.
  drawn = axes.imshow(
      100 * shares, cmap='Blues', norm=colors.PowerNorm(0.5, 0, 100))
  axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8,
                  parse_math=False)
  axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
  axes.set_xlabel('predicted')
  axes.set_ylabel('class')
  if len(names) <= _MAX_COUNTED_ROWS:
    for (row, column), count in np.ndenumerate(grouped.counts):
      if count:
        axes.text(column, row, f'{count}', ha='center', va='center', fontsize=8,
                  color='white' if shares[row, column] > _DARK else '0.1')
  if len(grouped.groups) < len(class_names):
    axes.set_title(
        f'{len(class_names):,} classes in groups of those that are confused',
        fontsize=10)
  figure.colorbar(drawn, ax=axes, shrink=0.6,
                  label='% of the images of the row')
  return figure
