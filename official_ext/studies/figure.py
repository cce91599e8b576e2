"""Draws a study: differences with intervals, and its metric against cost."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib import axes as axes_lib
from matplotlib import figure as figure_lib
from matplotlib import patheffects
from matplotlib import pyplot

from official_ext import figures  # noqa: F401 - sets the look
from official_ext.pretrained import pareto_front
from official_ext.studies import comparisons
from official_ext.studies import study_file
from official_ext.training import modes

_COLORS = {comparisons.BETTER: '#2d6a4f', comparisons.WORSE: '#c1121f',
           comparisons.UNDECIDED: '0.45', comparisons.NOT_RUN: '0.45'}
_FRONT = '#2a6f97'
# Of names, over the lines behind them.
_HALO = patheffects.withStroke(linewidth=2, foreground='white')


def draw(study: study_file.Study,
         found: Mapping[str, comparisons.Row]) -> figure_lib.Figure:
  """Draws a study.

  Args:
    study: the study.
    found: what there is of its rows, by their names; the baseline and another
      row have a finished training.

  Returns:
    Differences to the baseline with their 95 % intervals; means of the metric
    against multiply-adds and against the CPU time of a training, with the
    standard deviations over the seeds and the Pareto fronts of the means. What
    was not trained has no time.
  """
  figure, panels = pyplot.subplots(
      1, 3, figsize=(13, 0.32 * len(found) + 2.4), layout='constrained',
      width_ratios=(1.2, 1, 1))
  _differences(panels[0], study, found)
  _costs(panels[1], study, found, {
      name: row.median('gmacs') for name, row in found.items()},
         'GMACs of one image')
  # The time that passed, and so that of a step, is of all that a machine did.
  _costs(panels[2], study, found, {
      name: (seconds := row.median('cpu_seconds')) and seconds / 60
      for name, row in found.items() if modes.trains(study.rows[name].mode)},
         'CPU minutes of a training')
  for axes in panels:
    axes.grid(alpha=0.25)
    axes.spines[['top', 'right']].set_visible(False)
  figure.draw_without_rendering()
  for axes in panels[1:]:
    _spread(axes)
  return figure


def _spread(axes: axes_lib.Axes) -> None:
  """Lifts the names of points that would cover one another."""
  taken = []
  names = sorted(axes.texts, key=lambda text: text.xy[1])
  for name in names:
    box = name.get_window_extent()
    lift = 0
    while any(box.translated(0, lift).overlaps(other) for other in taken):
      lift += 1
    taken.append(box.translated(0, lift))
    right, up = name.get_position()
    # From pixels to points.
    name.set_position((right, up + lift * 72 / axes.figure.dpi))


def _differences(axes: axes_lib.Axes, study: study_file.Study,
                 found: Mapping[str, comparisons.Row]) -> None:
  names = [name for name in found if name != study.baseline]
  for place, name in enumerate(reversed(names)):
    difference = comparisons.difference(found[name], found[study.baseline])
    if difference.mean is None:
      continue
    color = _COLORS[comparisons.compared(difference)]
    if difference.low is not None:
      axes.plot([difference.low, difference.high], [place, place],
                color=color, linewidth=1.6, solid_capstyle='butt')
    axes.plot(difference.mean, place, 'o', markersize=5, color=color)
  axes.axvline(0, color='0.2', linewidth=0.8)
  axes.set_yticks(range(len(names)), [
      _plain(name) for name in reversed(names)], fontsize=8)
  axes.set_ylim(-0.6, len(names) - 0.4)
  axes.set_xlabel(_plain(
      f'points of {study.metric.label} above {study.baseline}, '
      '95 % intervals'))


def _costs(axes: axes_lib.Axes, study: study_file.Study,
           found: Mapping[str, comparisons.Row],
           costs: Mapping[str, float | None], label: str) -> None:
  known = [row for row in found.values()
           if row.mean is not None and costs.get(row.name)]
  for row in known:
    axes.errorbar(costs[row.name], row.mean, row.deviation, fmt='none',
                  ecolor='0.3', elinewidth=1)
    # Points lie over names, and these over lines.
    axes.plot(costs[row.name], row.mean, 'o', color='0.3', markersize=4,
              zorder=4)
    axes.annotate(_plain(row.name), (costs[row.name], row.mean),
                  xytext=(5, 3), textcoords='offset points', fontsize=7,
                  path_effects=[_HALO])
  front = pareto_front.find([
      {'layout': row.name, 'gmacs': costs[row.name], 'top_1_percent': row.mean}
      for row in known])
  axes.step([one['gmacs'] for one in front],
            [one['top_1_percent'] for one in front], where='post',
            color=_FRONT, linewidth=1.1, label='Pareto front of the means')
  axes.set_xlabel(label)
  axes.set_ylabel(f'{study.metric.label}, %')
  if front:
    axes.legend(frameon=False, fontsize=7)


def _plain(text: str) -> str:
  """Keeps Matplotlib from reading formulas between dollars."""
  return text.replace('$', r'\$')
