"""Writes the comparison of trainings: a page for browsers, and Markdown.

The page is one file that asks for nothing else, and needs no JavaScript.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
import html
import importlib.resources
import itertools
import os
import re
import string
from typing import Any

import official_ext
from official_ext import figures as figures_lib
from official_ext.analysis import comparison
from official_ext.analysis import curves
from official_ext.analysis import runs as runs_lib
from official_ext.analysis import settings_table
from official_ext.command_line import tables

HTML_FILE = 'report.html'
MARKDOWN_FILE = 'report.md'
_TEMPLATE = 'report_template.html'
_TITLE = 'Comparison of trainings'
_NOTES = (
    'Train accuracies are those of the last interval that was logged, '
    'validation accuracies those of the last evaluation; the best evaluation '
    'stands beside it with its step. All are as logged in the event files.',
    'The interval of a validation accuracy (95 %, Wilson) is what other images '
    'of the kind may give; another training may differ by more. Whether two '
    'models differ beyond chance on the same images, official_ext.evaluate '
    'says with --baseline.',
    'Parameters and GMACs (multiply-adds of one forward pass of one image, all '
    'layers in full) are counted from the configuration, for the backbone '
    'funnel_vit alone.',
    'Memory is the largest peak that was logged: of the fullest device, or on '
    'CPU of the whole process. Steps/s and images/s are the medians of the '
    'logged intervals, without compilation, evaluation and checkpoints.',
    'Time is from the first to the last record of every start of a training, '
    'with compilation, and with the evaluations and checkpoints in between. '
    'The time between two starts is left out.',
    'A start repeats the steps after its checkpoint. What was logged of them '
    'before does not count.',
    'A dash stands for what was not logged, or is not known.',
)
_TIME_NOTE = (
    'Of all starts of a training, without the time between them: steps that '
    'count (the goodput), waiting for input, the first step of every start, '
    'which compiles, evaluations with the best checkpoint and its export, '
    'checkpoints as far as steps wait for them, and the start-up. Steps that a '
    'later start took again are lost to restarts; what a killed start did '
    'after its last report is not known.')
_SETTINGS_NOTE = (
    'As they were given; what follows from other settings, or is read in none '
    'of the trainings, is left out.')
_SAME_SETTINGS = 'There are none.'
# Where lines of layouts, paths and settings may end.
_PART_END = re.compile(r'(?<=.)([-/._])(?=.)')
_MARKDOWN_SPECIAL = re.compile(r'([\\`*\[\]<>&|]|(?<!\w)_|_(?!\w))')


def write(output_dir: str, runs: Sequence[runs_lib.Run],
          smoothing: float = 0.0,
          figures: Sequence[tuple[str, str, bytes]] = ()) -> list[str]:
  """Writes report.html and report.md.

  Args:
    output_dir: an existing folder.
    runs: the trainings; differences are to the first.
    smoothing: of the curves, see `curves.smooth`.
    figures: further figures of the page: title, caption and a PNG each.

  Returns:
    The paths of the files.

  Raises:
    ValueError: if there are too many trainings for a figure.
    OSError: if a file cannot be written.
  """
  results = [comparison.summarise(run) for run in runs]
  texts = {HTML_FILE: _page(results, smoothing, figures),
           MARKDOWN_FILE: _markdown(results)}
  paths = []
  for name, text in texts.items():
    paths.append(os.path.join(output_dir, name))
    with open(paths[-1], 'w', encoding='utf-8') as file:
      file.write(text)
  return paths


def _page(results: Sequence[comparison.Result], smoothing: float,
          figures: Sequence[tuple[str, str, bytes]]) -> str:
  """Fills the template of the page in."""
  template = string.Template(
      importlib.resources.files('official_ext.analysis').joinpath(
          _TEMPLATE).read_text(encoding='utf-8'))
  sections = [_curves(results, smoothing)]
  for number, (title, caption, png) in enumerate(figures, start=1):
    # A grid of images, whose labels a narrow screen would make too small.
    sections.append(_section(
        f'figure-{number}', title,
        f'<div class="scroll grid" role="region" tabindex="0" '
        f'aria-labelledby="figure-{number}">'
        f'<img src="{_data_uri(png)}" alt="{html.escape(title)}" '
        f'style="--width: {_width_inches(png):.2f}in"></div>', caption))
  return template.substitute(
      title=_TITLE,
      subtitle=html.escape(_subtitle(results)),
      results=_html_table(comparison.columns(results), results, 'results'),
      deltas=html.escape(_deltas(results)),
      times=_html_table(comparison.time_columns(), results, 'times'),
      time_note=html.escape(_TIME_NOTE),
      settings=_settings(
          results, lambda *table: _box(_html_rows(*table), 'settings')),
      settings_note=html.escape(_SETTINGS_NOTE),
      figures='\n'.join(sections),
      notes='\n'.join(f'<li>{html.escape(note)}</li>' for note in _NOTES),
      sources=_html_table(comparison.source_columns(), results, 'sources'))


def _settings(results: Sequence[comparison.Result],
              table: Callable[[Sequence, Sequence], str]) -> str:
  """Makes the table of the settings that differ, or says that none do."""
  rows = settings_table.rows(results)
  if not rows:
    return _SAME_SETTINGS
  return table(settings_table.columns(results), rows)


def _curves(results: Sequence[comparison.Result], smoothing: float) -> str:
  """Draws the curves: two columns of panels, and one on narrow screens."""
  runs = [result.run for result in results]
  wide, narrow = (
      _data_uri(figures_lib.png(curves.draw(runs, smoothing, num_columns)))
      for num_columns in (2, 1))
  names = ', '.join(run.name for run in runs)
  alt = ('Training loss and validation top-1 by steps and by training time, '
         f'of {names}')
  caption = ('Training loss and validation top-1, by steps and by training '
             'time.')
  if smoothing:
    caption += f' Smoothed by {smoothing:g}, raw values pale.'
  return _section(
      'curves', 'Curves',
      f'<picture><source media="(max-width: 760px)" srcset="{narrow}">'
      f'<img src="{wide}" alt="{html.escape(alt)}"></picture>', caption)


def _section(identifier: str, title: str, image: str, caption: str) -> str:
  return (
      f'<section aria-labelledby="{identifier}">\n'
      f'<h2 id="{identifier}">{html.escape(title)}</h2>\n'
      f'<figure>{image}\n'
      f'<figcaption>{html.escape(caption)}</figcaption></figure>\n'
      '</section>')


def _html_table(columns: Sequence[comparison.Column], results: Sequence[Any],
                label: str) -> str:
  """Makes a table with a row for each training, and one for narrow screens.

  That has a row for each figure, so that the trainings stand side by side.
  """
  return '\n'.join([_box(_html_rows(columns, results), label, 'wide'),
                    _box(_html_columns(columns, results), label, 'narrow')])


def _box(lines: Sequence[str], label: str, name: str = '') -> str:
  """Puts a table into a box of its own, which scrolls where it is too narrow.

  Args:
    lines: of the table.
    label: the identifier of what it is called.
    name: the class of the box, for the style sheet; empty: it has none more.
  """
  return '\n'.join([
      f'<div class="{f"scroll {name}".strip()}" role="region" '
      f'aria-labelledby="{label}" tabindex="0">', '<table>', *lines, '</table>',
      '</div>'])


def _html_rows(columns: Sequence[comparison.Column], results: Sequence[Any]
               ) -> list[str]:
  """Returns the lines of a table with a row for each result."""
  classes = _classes(columns)
  rows = [''.join(_html_cell(column.cell(result, results[0]), name, not index)
                  for index, (column, name) in enumerate(zip(columns, classes)))
          for result in results]
  return [
      '<thead>',
      *(f'<tr>{row}</tr>' for row in _html_head(columns, classes) if row),
      '</thead>', '<tbody>', *(f'<tr>{row}</tr>' for row in rows), '</tbody>']


def _html_columns(columns: Sequence[comparison.Column], results: Sequence[Any]
                  ) -> list[str]:
  """Returns the lines of a table with a column for each result."""
  name, *others = columns
  names = ''.join(
      f'<th scope="col">{html.escape(name.cell(result, results[0]).text)}</th>'
      for result in results)
  rows = []
  for column in others:
    heading = html.escape(
        _with_unit(f'{column.group} {column.heading}'.strip(), column))
    cells = ''.join(
        _html_cell(column.cell(result, results[0]), column.style, False)
        for result in results)
    rows.append(f'<tr><th scope="row">{heading}</th>{cells}</tr>')
  return ['<thead>', f'<tr><th scope="col">{html.escape(name.heading)}</th>'
          f'{names}</tr>', '</thead>', '<tbody>', *rows, '</tbody>']


def _html_head(columns: Sequence[comparison.Column],
               classes: Sequence[str]) -> tuple[str, str]:
  """Returns two rows of headings: groups, and what stands below them."""
  top = below = ''
  for group, members in itertools.groupby(
      zip(columns, classes), lambda member: member[0].group):
    members = list(members)
    if group:
      column, name = members[0]
      top += (f'<th scope="colgroup" colspan="{len(members)}" class="{name}">'
              f'{html.escape(_with_unit(group, column))}</th>')
      below += ''.join(
          f'<th scope="col" class="{name}">{html.escape(column.heading)}</th>'
          for column, name in members)
    else:
      top += ''.join(
          f'<th scope="col" rowspan="2" class="{name}">'
          f'{html.escape(_with_unit(column.heading, column))}</th>'
          for column, name in members)
  return top, below


def _classes(columns: Sequence[comparison.Column]) -> list[str]:
  """Returns the classes of the cells of every column, for the style sheet."""
  classes = []
  group = ''
  for column in columns:
    starts = 'start' if column.group != group else ''
    classes.append(f'{column.style} {starts}'.strip())
    group = column.group
  return classes


def _html_cell(cell: comparison.Cell, name: str, is_first: bool) -> str:
  text = html.escape(cell.text)
  if comparison.WORDS in name.split():
    text = _PART_END.sub(r'\1<wbr>', text)
  if cell.delta:
    text += f' <span class="delta">{html.escape(cell.delta)}</span>'
  if cell.note:
    text += f' <span class="note">{html.escape(cell.note)}</span>'
  tag, scope = ('th', ' scope="row"') if is_first else ('td', '')
  return f'<{tag}{scope} class="{name}">{text}</{tag}>'


def _markdown(results: Sequence[comparison.Result]) -> str:
  """Writes the tables and the notes as Markdown."""
  return '\n'.join([
      f'# {_TITLE}', '', _subtitle(results), '',
      _markdown_table(comparison.columns(results), results), '',
      _deltas(results), '', '## Where the time went', '',
      _markdown_table(comparison.time_columns(), results), '', _TIME_NOTE, '',
      '## Settings that differ', '',
      _settings(results, _markdown_table), '', _SETTINGS_NOTE, '',
      '## Where the figures are from', '',
      *(f'- {_escaped(note)}' for note in _NOTES), '',
      _markdown_table(comparison.source_columns(), results), ''])


def _markdown_table(columns: Sequence[comparison.Column],
                    results: Sequence[Any]) -> str:
  return tables.markdown(
      [_with_unit(f'{column.group} {column.heading}'.strip(), column)
       for column in columns],
      [[_markdown_cell(column.cell(result, results[0])) for column in columns]
       for result in results],
      ['---' if column.style == comparison.WORDS else '---:'
       for column in columns])


def _markdown_cell(cell: comparison.Cell) -> str:
  text = _escaped(cell.text)
  if cell.delta:
    text += f' ({_escaped(cell.delta)})'
  return f'{text} {_escaped(cell.note)}' if cell.note else text


def _subtitle(results: Sequence[comparison.Result]) -> str:
  newest = max((result.run.history.newest_time or 0 for result in results),
               default=0)
  return (f'Newest value of {comparison.format_date(newest or None)}. '
          f'Written by Funnel-ViT {official_ext.__version__}.')


def _deltas(results: Sequence[comparison.Result]) -> str:
  if len(results) == 1:
    return 'One training, so there is nothing to compare it with.'
  return ('Beside the values stand the differences to the first row: of '
          'accuracies in percentage points, of GMACs and memory in per cent, '
          'of speeds how many times as fast, all before rounding. A training '
          'that is not finished, or stopped early, is compared as far as it '
          'got.')


def _with_unit(heading: str, column: comparison.Column) -> str:
  return f'{heading}, {column.unit}' if column.unit else heading


def _escaped(text: str) -> str:
  """Escapes text that Markdown must not take for anything else."""
  return _MARKDOWN_SPECIAL.sub(r'\\\1', ' '.join(text.split()))


def _width_inches(png: bytes) -> float:
  """Returns the width at which a figure was drawn, by its PNG header."""
  return int.from_bytes(png[16:20], 'big') / figures_lib.DPI


def _data_uri(png: bytes) -> str:
  return f'data:image/png;base64,{base64.b64encode(png).decode()}'
