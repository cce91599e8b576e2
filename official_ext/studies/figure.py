"""Draws a study: differences with intervals, and its metric against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import itertools

from matplotlib import axes as axes_lib
from matplotlib import figure as figure_lib
from matplotlib import patheffects
from matplotlib import pyplot
from matplotlib import ticker

from official_ext import figures  # noqa: F401 - sets the look
from official_ext.pretrained import pareto_front
from official_ext.studies import comparisons
from official_ext.studies import study_file
from official_ext.training import modes

_COLORS = {comparisons.BETTER: '#2d6a4f', comparisons.WORSE: '#c1121f',
           comparisons.UNDECIDED: '0.45', comparisons.NOT_RUN: '0.45'}
_FRONT = '#2a6f97'
# Shares of the width of a panel: points that are nearer stand side by side, so
# far apart.
_NEAR, _APART = 0.02, 0.03
# Of a name from its point, points.
_PAD = 4
# Of names, over the lines behind them.
_HALO = patheffects.withStroke(linewidth=2, foreground='white')
# Left, bottom, right and top, pixels.
_Box = tuple[float, float, float, float]


def draw(study: study_file.Study,
         found: Mapping[str, comparisons.Row]) -> figure_lib.Figure:
  """Draws a study.

  Args:
    study: the study.
    found: what there is of its rows, by their names; the baseline and another
      row have a finished training.

  Returns:
    Differences to the baseline with their 95 % intervals; means of the metric
    against multiply-adds, where rows differ in them, and against the CPU time
    of a training, with the standard deviations over the seeds and the Pareto
    fronts of the means. What was not trained has no time, and a front is only
    of times of the same seeds. Points that share a cost stand side by side.
  """
  gmacs = {name: row.median('gmacs') for name, row in found.items()}
  # The time that passed, and so that of a step, is of all that a machine did.
  times = comparisons.medians(found, 'cpu_seconds')
  minutes = {name: seconds / 60 for name, seconds in times.values.items()
             if modes.trains(study.rows[name].mode)}
  costs = [(minutes, 'CPU minutes of a training', times.apart)]
  if len(set(gmacs.values()) - {None}) > 1:
    costs.insert(0, (gmacs, 'GMACs of one image', ()))
  figure, panels = pyplot.subplots(
      1, 1 + len(costs), layout='constrained',
      figsize=(5 + 4 * len(costs), 0.32 * len(found) + 2.4),
      width_ratios=(1.2, *(1 for _ in costs)))
  _differences(panels[0], study, found)
  places = [_costs(axes, study, found, *one)
            for axes, one in zip(panels[1:], costs, strict=True)]
  for axes in panels:
    axes.grid(alpha=0.25)
    axes.spines[['top', 'right']].set_visible(False)
  # Where names go depends on where the points are, in pixels.
  figure.draw_without_rendering()
  figure.set_layout_engine('none')
  for axes in panels:
    # The last bits of what the solver of the layout finds are not always the
    # same.
    axes.set_position([round(one, 6) for one in axes.get_position().bounds])
  for axes, one in zip(panels[1:], places, strict=True):
    _name(axes, found, one)
  return figure


def _side_by_side(rows: Sequence[comparisons.Row],
                  costs: Mapping[str, float]) -> list[dict[str, float]]:
  """Returns where points stand so that none, with its bar, covers another.

  Args:
    rows: of the points.
    costs: by the row.

  Returns:
    Groups of points that would cover one another; a group has its middle where
    it was, and its points from the cheapest on.
  """
  if not rows:
    return []
  span = max(costs.values()) - min(costs.values())
  # What costs the same is spread by a share of that.
  span = span or abs(max(costs.values())) or 1.0
  groups: list[list[comparisons.Row]] = []
  for row in sorted(rows, key=lambda row: costs[row.name]):
    near = [group for group in groups if any(
        costs[row.name] - costs[one.name] <= _NEAR * span and
        abs(row.mean - one.mean) <= (row.deviation or 0) + (one.deviation or 0)
        for one in group)]
    groups = [group for group in groups if group not in near]
    groups.append([*itertools.chain(*near), row])
  places = []
  for group in groups:
    group.sort(key=lambda row: costs[row.name])
    middle = (costs[group[0].name] + costs[group[-1].name]) / 2
    places.append({
        row.name: middle + (index - (len(group) - 1) / 2) * _APART * span
        for index, row in enumerate(group)})
  return places


def _name(axes: axes_lib.Axes, found: Mapping[str, comparisons.Row],
          groups: Sequence[Mapping[str, float]]) -> None:
  """Names points beside their groups, inside the axes, none over another."""
  dots = 72 / axes.figure.dpi
  pad = _PAD / dots
  inside = axes.get_window_extent()
  to_pixels = axes.transData.transform
  # What names had better not cover, with how much that is, in heights of one.
  obstacles = []
  for group in groups:
    for name, place in group.items():
      row = found[name]
      bar = row.deviation or 0
      x, y = to_pixels((place, row.mean))
      low, high = (to_pixels((place, row.mean + by))[1] for by in (-bar, bar))
      obstacles += [((x - 2, low, x + 2, high), 2),
                    ((x - pad, y - pad, x + pad, y + pad), 6)]
  for group in groups:
    left, right = (to_pixels((end(group.values()), 0))[0]
                   for end in (min, max))
    for name in sorted(group, key=lambda name: found[name].mean):
      point = group[name], found[name].mean
      text = axes.annotate(
          _plain(name), point, xytext=(0, 0), textcoords='offset pixels',
          fontsize=7, va='bottom', path_effects=[_HALO])
      box = text.get_window_extent()
      x, y = to_pixels(point)
      at = _best_place(
          (box.width, box.height), y, (right + pad, left - pad - box.width),
          (inside.x0 + 2, inside.y0 + 2, inside.x1 - 2, inside.y1 - 2),
          obstacles)
      obstacles.append(((*at, at[0] + box.width, at[1] + box.height), 1_000))
      text.set_position(((at[0] - x) * dots, (at[1] - y) * dots))
      text.anncoords = 'offset points'
      is_left = at[0] < x
      end = (at[0] + box.width + 1 if is_left else at[0] - 1,
             at[1] + box.height / 2)
      if max(abs(end[0] - x) - 2 * pad, abs(end[1] - y) - box.height) > 0:
        _lead(axes, (x, y), end)


def _best_place(size: tuple[float, float], y: float, sides: Sequence[float],
                inside: _Box, obstacles: Sequence[tuple[_Box, float]]
                ) -> tuple[float, float]:
  """Returns the lower left corner at which a name covers least, in pixels.

  Args:
    size: of the name, width and height.
    y: of its point.
    sides: where it begins right and left of its point.
    inside: what it may not leave.
    obstacles: boxes, and how many heights of a name it had rather be moved than
      cover one.
  """
  width, height = size
  left, bottom, right, top = inside
  best, least = (left, y), float('inf')
  for side, begin in enumerate(sides):
    begin_inside = max(min(begin, right - width), left)
    # It would cover its own point.
    penalty = (0.5 * side + 12 * (begin_inside != begin)) * height
    for low in range(int(bottom), int(top - height) + 1, 2):
      cost = penalty + abs(low - 0.2 * height - y) + sum(
          weight * height for (x0, y0, x1, y1), weight in obstacles
          if x0 < begin_inside + width and begin_inside < x1 and
          y0 < low + height and low < y1)
      if cost < least:
        best, least = (begin_inside, float(low)), cost
  return best


def _lead(axes: axes_lib.Axes, start: tuple[float, float],
          end: tuple[float, float]) -> None:
  """Draws a thin line from a point to its name, both in pixels."""
  from_data = axes.transData.inverted()
  axes.annotate('', from_data.transform(end), from_data.transform(start),
                arrowprops={'arrowstyle': '-', 'linewidth': 0.5,
                            'color': '0.6', 'shrinkA': 0, 'shrinkB': 0})


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
           costs: Mapping[str, float | None], label: str,
           apart: Sequence[str] = ()) -> list[dict[str, float]]:
  """Draws the metric against a cost; returns where the points are, in groups.

  Args:
    axes: where to.
    study: the study.
    found: what there is of its rows.
    costs: by the row; what lacks one is left out.
    label: of the costs.
    apart: the rows whose costs do not compare with the others.
  """
  known = [row for row in found.values()
           if row.mean is not None and costs.get(row.name)]
  groups = _side_by_side(
      known, {row.name: costs[row.name] for row in known})
  places = {name: place for group in groups for name, place in group.items()}
  for row in known:
    axes.errorbar(places[row.name], row.mean, row.deviation, fmt='none',
                  ecolor='0.3', elinewidth=1)
    # Points lie over names, and these over lines.
    axes.plot(places[row.name], row.mean, 'o', color='0.3', markersize=4,
              zorder=4)
  front = pareto_front.find([
      {'layout': row.name, 'gmacs': costs[row.name], 'top_1_percent': row.mean}
      for row in known if row.name not in apart])
  if len(front) > 1:
    axes.step([places[one['layout']] for one in front],
              [one['top_1_percent'] for one in front], where='post',
              color=_FRONT, linewidth=1.1, label='Pareto front of the means')
    # Above the panel, where no point or name can be.
    axes.legend(frameon=False, fontsize=7, loc='lower right',
                bbox_to_anchor=(1, 1), borderaxespad=0)
  axes.xaxis.set_major_locator(ticker.MaxNLocator(
      6, steps=[1, 2, 2.5, 5, 10]))
  axes.set_xlabel(label)
  axes.set_ylabel(f'{study.metric.label}, %')
  return groups


def _plain(text: str) -> str:
  """Keeps Matplotlib from reading formulas between dollars."""
  return text.replace('$', r'\$')
