"""The curves of trainings: loss and accuracy by steps and by training time.

The paper's Figure 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import dataclasses
import itertools
import textwrap

from matplotlib import axes as axes_lib
from matplotlib import figure as figure_lib
from matplotlib import lines
from matplotlib import pyplot
import numpy as np
from scipy import signal

from official_ext.analysis import event_files
from official_ext.analysis import runs as runs_lib
from official_ext.training import event_tags

# Okabe and Ito's colours, which the colour-blind can tell apart, without the
# yellow, which is hard to see on white.
_COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9',
           '#000000')
_STYLES = ('-', '--', ':', '-.')
MAX_RUNS = len(_COLORS) * len(_STYLES)
# A curve of no more points shows them.
_FEW_POINTS = 30
# Width in inches of a figure of two columns and of one, and the length of a
# name that fits above it.
_WIDTHS = {1: 3.9, 2: 10.0}
_NAME_LENGTHS = {1: 38, 2: 100}
_PANEL_HEIGHT = 2.9
# The smallest unit in which the longest training takes no more than this.
_TIME_UNITS = (('s', 3600, 180), ('min', 60, 180), ('h', 1, np.inf))


@dataclasses.dataclass(frozen=True)
class _Quantity:
  """What is drawn, by steps and by training time."""
  title: str
  label: str
  empty: str
  scale: float
  of: Callable[[runs_lib.Run], event_files.Series | None]


_QUANTITIES = (
    _Quantity('Training loss', 'loss', 'nothing logged yet', 1,
              lambda run: run.history.train.get(event_tags.TRAIN_LOSS)),
    _Quantity('Validation top-1', 'top-1, %', 'no evaluation yet', 100,
              lambda run: run.history.validation.get(event_tags.ACCURACY)))


def draw(runs: Sequence[runs_lib.Run], smoothing: float = 0.0,
         num_columns: int = 2) -> figure_lib.Figure:
  """Draws training loss and validation top-1, by steps and by time.

  Args:
    runs: the trainings, at most MAX_RUNS.
    smoothing: see `smooth`; the values as logged stay visible.
    num_columns: of panels, 2 or, for narrow pages, 1.

  Returns:
    The figure.

  Raises:
    ValueError: if there are too many trainings to be told apart.
  """
  if len(runs) > MAX_RUNS:
    raise ValueError(
        f'{len(runs)} trainings are too many for one figure: at most '
        f'{MAX_RUNS} lines can be told apart. Name fewer.')
  unit, per_hour = _time_unit(runs)
  panels = list(itertools.product(_QUANTITIES, (False, True)))
  num_rows = len(panels) // num_columns
  is_wide = num_columns == 2
  figure, axes = pyplot.subplots(
      num_rows, num_columns, squeeze=False, layout='constrained',
      sharex='col' if is_wide else False, sharey='row' if is_wide else False,
      figsize=(_WIDTHS[num_columns], _PANEL_HEIGHT * num_rows + 0.6))
  for (quantity, by_time), cell in zip(panels, axes.flat, strict=True):
    _draw_panel(cell, quantity, runs, smoothing, per_hour if by_time else None)
    if not is_wide or cell in axes[:, 0]:
      cell.set_ylabel(quantity.label)
    if not is_wide or cell in axes[-1]:
      cell.set_xlabel(f'training time, {unit}' if by_time else 'steps')
  _add_legend(figure, runs, num_columns)
  if smoothing:
    figure.supxlabel(f'smoothed by {smoothing:g}, raw values pale',
                     fontsize=9, color='0.35')
  return figure


def _draw_panel(axes: axes_lib.Axes, quantity: _Quantity,
                runs: Sequence[runs_lib.Run], smoothing: float,
                per_hour: float | None) -> None:
  """Draws a quantity by steps, or by time where its unit is given."""
  is_empty = True
  for index, run in enumerate(runs):
    series = quantity.of(run)
    if series is None:
      continue
    positions = series.steps
    if per_hour:
      positions = run.history.hours_at(series.steps) * per_hour
    values = series.values * quantity.scale
    is_empty = is_empty and not np.isfinite(positions).any()
    look = _look(index)
    if len(series) <= _FEW_POINTS:
      look |= {'marker': 'o', 'markersize': 4}
    if smoothing:
      axes.plot(positions, values, alpha=0.3, **look | {'linewidth': 1})
      values = smooth(values, smoothing)
      # One point is no line.
      if len(series) > 1:
        look.pop('marker', None)
    axes.plot(positions, values, **look)
  axes.set_title(
      f'{quantity.title} by {"training time" if per_hour else "steps"}',
      loc='left', fontsize=10)
  axes.grid(color='0.9', linewidth=0.6)
  axes.set_axisbelow(True)
  axes.set_xlim(left=0)
  for side in ('top', 'right'):
    axes.spines[side].set_visible(False)
  if is_empty:
    axes.text(0.5, 0.5, quantity.empty, transform=axes.transAxes, ha='center',
              va='center', color='0.4')


def smooth(values: np.ndarray, weight: float) -> np.ndarray:
  """Smooths values as TensorBoard does.

  An exponential moving average that begins at 0, over the weights that it has
  summed up so far, so that the first values are not drawn to 0.

  Args:
    values: float [N]. What is not finite stays, and is left out of the
      average.
    weight: of the average so far, from 0 (nothing is smoothed) to below 1.

  Returns:
    Float [N].
  """
  smoothed = np.array(values, np.float64)
  is_finite = np.isfinite(smoothed)
  averages = signal.lfilter([1 - weight], [1, -weight], smoothed[is_finite])
  counts = 1 + np.arange(len(averages))
  smoothed[is_finite] = averages / (1 - weight ** counts)
  return smoothed


def _look(index: int) -> dict[str, object]:
  """Returns the look of a training's line, no two of them the same."""
  return dict(color=_COLORS[index % len(_COLORS)],
              linestyle=_STYLES[index // len(_COLORS)], linewidth=1.8)


def _add_legend(figure: figure_lib.Figure, runs: Sequence[runs_lib.Run],
                num_columns: int) -> None:
  """Names the trainings above the panels."""
  length = _NAME_LENGTHS[num_columns]
  labels = []
  for run in runs:
    label = f'{run.name}: {run.progress}' if run.shortfall else run.name
    # Matplotlib reads formulas between dollars.
    labels.append(textwrap.fill(label, length).replace('$', r'\$'))
  longest = max(len(line) for label in labels for line in label.split('\n'))
  legend = figure.legend(
      [lines.Line2D([], [], **_look(index)) for index in range(len(runs))],
      ['-'] * len(runs), loc='outside upper center', frameon=False, fontsize=9,
      ncols=min(len(runs), max(1, length // (longest + 6))))
  # A legend leaves out what it is given with an underscore in front.
  for text, label in zip(legend.get_texts(), labels, strict=True):
    text.set_text(label)


def _time_unit(runs: Sequence[runs_lib.Run]) -> tuple[str, float]:
  """Returns the unit of training times, and how many of it are an hour."""
  longest = max((run.history.total_hours or 0 for run in runs), default=0)
  return next((unit, per_hour) for unit, per_hour, most in _TIME_UNITS
              if longest * per_hour <= most)
