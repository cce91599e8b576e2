"""The table and the figure of a search of layouts, and the file of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import math
import os
from typing import Any

from matplotlib import figure as figure_lib
from matplotlib import pyplot

from official_ext import figures
from official_ext.benchmarks import csv_file
from official_ext.command_line import tables
from official_ext.layouts import search
from official_ext.pretrained import pareto_front

FILE = 'layouts.csv'
FIGURE = 'layouts.png'
# What a search is of. A file of another one is not gone on with.
_SAME = ('checkpoint', 'step', 'ema', 'data', 'images')
_NUMBERS = {'gmacs': float, 'images': int, 'top_1_percent': float,
            'top_5_percent': float, 'seconds': float}
_COLORS = {'mean': '#2a6f97', 'max': '#e07a1f', '': '#333333'}
_MARKS = {'sequence': 'o', 'grid': 's', '': '*'}


def read(path: str, head: Mapping[str, str]) -> list[dict[str, Any]]:
  """Reads the layouts that a search has evaluated already.

  Args:
    path: of its file; it need not be there.
    head: what `csv_file.describe_run` returned, and what the search is of.

  Returns:
    Rows of `layout_search.COLUMNS`.

  Raises:
    ValueError: if the file is of another search, or of none.
  """
  if not os.path.exists(path):
    return []
  table = csv_file.read(path)
  differences = [
      f'{name} is {table.head.get(name)!r} there and {head[name]!r} here'
      for name in _SAME if table.head.get(name) != head[name]]
  if differences:
    raise ValueError(
        f'{path} is of another search: {"; ".join(differences)}. Name another '
        '--output_dir, or remove the file.')
  return [{name: _NUMBERS.get(name, str)(cell) for name, cell in row.items()}
          for row in table.rows]


def write(path: str, rows: Sequence[Mapping[str, Any]],
          head: Mapping[str, str]) -> None:
  """Writes the rows; the file is always whole.

  Args:
    path: of the file.
    rows: of `layout_search.COLUMNS`.
    head: as in `read`.
  """
  unfinished = f'{path}.unfinished'
  csv_file.write(unfinished, rows, head)
  os.replace(unfinished, path)


def name(row: Mapping[str, Any]) -> str:
  """Returns what a layout is called, such as 'B6(65)-6(33) mean, grid'."""
  pooled = ', '.join(filter(None, (row['pooling'], row['pool_axes'])))
  return f'{row["layout"]} {pooled}'.rstrip()


def table(rows: Sequence[Mapping[str, Any]]) -> str:
  """Formats the best layout at every budget.

  Args:
    rows: of `layout_search.COLUMNS`, the model as one block among them.

  Returns:
    Several lines.
  """
  whole = _one_block(rows)
  lines = []
  best = pareto_front.find(rows)
  for row, after in zip(best, [*best[1:], None]):
    budget = f'from {search.four_digits(row["gmacs"])}'
    if after:
      budget += f' to {search.four_digits(after["gmacs"])}'
    lines.append([
        name(row), budget, f'{row["gmacs"] / whole["gmacs"] - 1:+.1%}',
        f'{row["top_1_percent"]:.2f} %',
        f'{row["top_1_percent"] - whole["top_1_percent"]:+.2f}',
        f'{row["top_5_percent"]:.2f} %'])
  fraction = whole['top_1_percent'] / 100
  error = 100 * math.sqrt(fraction * (1 - fraction) / whole['images'])
  return '\n'.join([
      f'{tables.counted(len(rows), "layout")} on '
      f'{tables.counted(whole["images"], "image")}; {name(whole)}: '
      f'{search.four_digits(whole["gmacs"])} GMACs, top-1 '
      f'{whole["top_1_percent"]:.2f} % (standard error {error:.2f} points)',
      'the best at each budget:',
      tables.aligned(
          ['layout', 'budget, GMACs', 'GMACs', 'top-1', 'points', 'top-5'],
          lines)])


def _one_block(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
  """Returns the row of the plain ViT."""
  return next(row for row in rows if not row['pooling'])


def draw(rows: Sequence[Mapping[str, Any]]) -> figure_lib.Figure:
  """Draws accuracy against multiply-adds, with the Pareto front.

  Args:
    rows: of `layout_search.COLUMNS`, the model as one block among them.

  Returns:
    The figure.
  """
  figure, axes = pyplot.subplots(figsize=(8, 5), layout='constrained')
  kinds = sorted({(row['pooling'], row['pool_axes']) for row in rows},
                 reverse=True)
  for pooling, pool_axes in kinds:
    own = [row for row in rows
           if (row['pooling'], row['pool_axes']) == (pooling, pool_axes)]
    axes.scatter(
        [row['gmacs'] for row in own], [row['top_1_percent'] for row in own],
        s=18 if pooling else 140, alpha=0.75 if pooling else 1,
        color=_COLORS[pooling], marker=_MARKS[pool_axes], linewidths=0,
        label=f'{pooling}, {pool_axes}' if pooling else 'one block (ViT)',
        zorder=2 if pooling else 4)
  best = pareto_front.find(rows)
  axes.step([row['gmacs'] for row in best],
            [row['top_1_percent'] for row in best], where='post',
            color='#c1121f', linewidth=1.2, label='Pareto front', zorder=3)
  _name_some(axes, best)
  axes.set_xlabel('GMACs of one image')
  axes.set_ylabel('top-1, %')
  axes.set_title(
      f'{name(_one_block(rows))} as {tables.counted(len(rows), "layout")}, '
      'without any training', fontsize=9, color='0.3')
  axes.grid(alpha=0.25)
  axes.spines[['top', 'right']].set_visible(False)
  axes.legend(loc='lower right', frameon=False, fontsize=8)
  return figure


def _name_some(axes, best: Sequence[Mapping[str, Any]]) -> None:
  """Writes the names of layouts of the front that are far enough apart."""
  low, high = axes.get_ylim()
  last = -math.inf
  for row in reversed(best):
    place = (row['top_1_percent'] - low) / (high - low)
    if abs(place - last) < 0.06:
      continue
    axes.annotate(
        row['layout'], (row['gmacs'], row['top_1_percent']), xytext=(4, -10),
        textcoords='offset points', fontsize=7, color='0.25')
    last = place


def save(figure: figure_lib.Figure, path: str) -> None:
  """Writes a figure and closes it."""
  figures.save(figure, [path])
