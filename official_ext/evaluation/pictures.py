"""Pictures of an evaluation: calibration, the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
import math

from matplotlib import figure as figure_lib
from matplotlib import pyplot
import numpy as np
import tensorflow as tf

from official_ext import figures
from official_ext.evaluation import calibration
from official_ext.evaluation import mistakes as mistakes_lib
from official_ext.tasks import image_files

_MAX_COLUMNS = 6
_MODEL_COLOR = '#1d4e89'
_IDEAL_COLOR = '0.4'


def draw_calibration(found: Sequence[calibration.Bin]) -> figure_lib.Figure:
  """Draws a reliability diagram, with the number of images below it.

  Args:
    found: the bins.

  Returns:
    The figure.
  """
  figure, (top, below) = pyplot.subplots(
      2, sharex=True, layout='constrained', figsize=(5, 6),
      height_ratios=[3, 1])
  filled = [one for one in found if one.count]
  x = [100 * one.confidence for one in filled]
  y = [100 * one.accuracy.value for one in filled]
  errors = [[100 * (one.accuracy.value - one.accuracy.low) for one in filled],
            [100 * (one.accuracy.high - one.accuracy.value) for one in filled]]
  top.plot([0, 100], [0, 100], '--', color=_IDEAL_COLOR, linewidth=1,
           label='as often right as sure')
  top.errorbar(x, y, yerr=np.maximum(errors, 0), fmt='o-', markersize=4,
               capsize=2, linewidth=1, color=_MODEL_COLOR, clip_on=False,
               label='the model, with 95 % intervals')
  top.set_xlim(0, 100)
  top.set_ylim(0, 100)
  top.set_ylabel('right, %')
  top.set_title('Calibration error '
                f'{100 * calibration.expected_error(found):.2f} %', fontsize=10)
  top.legend(loc='upper left', fontsize=8)
  below.bar([50 * (one.low + one.high) for one in found],
            [one.count for one in found],
            width=[95 * (one.high - one.low) for one in found],
            color=_MODEL_COLOR)
  below.set_xlabel('confidence: probability of the predicted class, %')
  below.set_ylabel('images')
  return figure


def draw_mistakes(found: Sequence[mistakes_lib.Mistake],
                  class_names: Sequence[str]) -> figure_lib.Figure:
  """Draws images that are taken for another class, the worst first.

  Args:
    found: at least one.
    class_names: a name for each class.

  Returns:
    The figure.
  """
  num_columns = min(_MAX_COLUMNS, len(found))
  num_rows = math.ceil(len(found) / num_columns)
  figure, rows = figures.grid(num_rows, num_columns, [''] * num_rows)
  cells = [cell for row in rows for cell in row]
  for cell, mistake in zip(cells, found):
    cell.imshow(image_files.decode(tf.constant(mistake.encoded)).numpy())
    probability = figures.percent(math.exp(-mistake.cross_entropy))
    cell.set_title(
        f'{figures.shorten(class_names[mistake.label])}: {probability}',
        fontsize=8, parse_math=False)
    figures.caption(cell, figures.shorten(class_names[mistake.predicted]),
                    is_right=False)
  for cell in cells[len(found):]:
    cell.set_visible(False)
  figure.suptitle('the class and its probability; below, what it is taken for',
                  fontsize=8)
  return figure
