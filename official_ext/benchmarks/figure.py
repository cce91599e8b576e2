"""The figure of a benchmark: speed-up and memory saved beside the ideal."""

from __future__ import annotations

from collections.abc import Sequence

from official_ext.benchmarks import report

_MEASURED, _IDEAL = '#2a6f97', '#c1121f'


def draw(path: str, rows: Sequence[report.Row], title: str) -> None:
  """Draws a PNG, one bar per row, the ideal as a line across it.

  Args:
    path: of the PNG.
    rows: what was measured, the baselines among them.
    title: under the figure: the machine and the versions.
  """
  import matplotlib  # pylint: disable=g-import-not-at-top
  matplotlib.use('Agg')
  # pylint: disable=g-import-not-at-top
  from matplotlib import pyplot
  from matplotlib import ticker
  # pylint: enable=g-import-not-at-top

  groups = {}
  for row in rows:
    groups.setdefault(row.settings.circumstances, []).append(row)
  figure, axes = pyplot.subplots(
      len(groups), 2, squeeze=False, sharex='col', sharey='row',
      layout='constrained',
      figsize=(10, 0.9 + sum(0.7 + 0.34 * len(group)
                             for group in groups.values())),
      height_ratios=[1.6 + len(group) for group in groups.values()])
  for (speed, memory), (name, group) in zip(axes, groups.items()):
    comparisons = [report.compare(row) for row in group]
    names = [row.name if row.status == 'ok' else f'{row.name}, {row.status}'
             for row in group]
    _bars(speed, names, [c.speed_up for c in comparisons],
          [c.ceiling for c in comparisons], '{:.2f}')
    _bars(memory, names, [c.memory_saved for c in comparisons],
          [c.ideal_memory_saved for c in comparisons], '{:.1%}')
    speed.invert_yaxis()
    speed.set_title(name, loc='left', fontsize=10)
  axes[-1, 0].set_xlabel("times as fast as Model Garden's vit")
  axes[-1, 1].set_xlabel('activation memory saved')
  axes[-1, 1].xaxis.set_major_formatter(ticker.PercentFormatter(xmax=1))
  handles = [
      pyplot.Rectangle((0, 0), 1, 1, color=_MEASURED),
      pyplot.Line2D([], [], color=_IDEAL, linewidth=2)]
  figure.legend(handles, ['measured', 'by multiply-adds, by values saved'],
                loc='outside upper right', ncols=2, frameon=False)
  figure.supxlabel(title, fontsize=8, color='0.4')
  figure.savefig(path, dpi=150)
  pyplot.close(figure)


def _bars(axis, names, values, ideals, form) -> None:
  """Draws horizontal bars with their values, and the ideals across them."""
  positions = range(len(names))
  axis.barh(positions, [value or 0 for value in values], color=_MEASURED,
            height=0.6)
  for position, value, ideal in zip(positions, values, ideals):
    axis.plot([ideal, ideal], [position - 0.4, position + 0.4], color=_IDEAL,
              linewidth=2)
    text = 'not measured' if value is None else form.format(value)
    axis.annotate(text, (max(value or 0, ideal), position), xytext=(6, 0),
                  textcoords='offset points', va='center', fontsize=9)
  axis.set_yticks(positions, names, fontsize=9)
  axis.margins(x=0.25)
  axis.spines[['top', 'right']].set_visible(False)
