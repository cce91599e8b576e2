"""Writes the comparison of trainings: a page for browsers, and Markdown.

The page is one file that asks for nothing else, and needs no JavaScript.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
import html
import importlib.resources
import itertools
import os
import re
import string

import official_ext
from official_ext.analysis import comparison
from official_ext.analysis import curves
from official_ext.analysis import runs as runs_lib

HTML_FILE = 'report.html'
MARKDOWN_FILE = 'report.md'
_TEMPLATE = 'report_template.html'
_TITLE = 'Comparison of trainings'
# Columns of words, not of numbers.
_WORDS = ('Model', 'Layout', 'Pooling', 'Folder')
_NOTES = (
    'Train accuracies are those of the last interval that was logged, '
    'validation accuracies those of the last evaluation; the best evaluation '
    'stands beside it with its step. All are as logged in the event files.',
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
# Where lines of layouts and paths may end.
_PART_END = re.compile(r'(?<=.)([-/])(?=.)')
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
  """The page."""
  template = string.Template(
      importlib.resources.files('official_ext.analysis').joinpath(
          _TEMPLATE).read_text(encoding='utf-8'))
  sections = [_curves(results, smoothing)]
  for number, (title, caption, png) in enumerate(figures, start=1):
    sections.append(_section(
        f'figure-{number}', title,
        f'<img src="{_data_uri(png)}" alt="{_text(title)}">', caption))
  return template.substitute(
      title=_TITLE,
      subtitle=_text(_subtitle(results)),
      results=_html_table(
          comparison.columns(results), results, 'results'),
      deltas=_text(_deltas(results)),
      figures='\n'.join(sections),
      notes='\n'.join(f'<li>{_text(note)}</li>' for note in _NOTES),
      sources=_html_table(
          comparison.source_columns(), results, 'sources'))


def _curves(results: Sequence[comparison.Result], smoothing: float) -> str:
  """The curves: two columns of panels, and one on narrow screens."""
  runs = [result.run for result in results]
  wide, narrow = (_data_uri(curves.png(runs, smoothing, num_columns))
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
      f'<img src="{wide}" alt="{_text(alt)}"></picture>', caption)


def _section(identifier: str, title: str, image: str, caption: str) -> str:
  return (
      f'<section aria-labelledby="{identifier}">\n'
      f'<h2 id="{identifier}">{_text(title)}</h2>\n'
      f'<figure>{image}\n<figcaption>{_text(caption)}</figcaption></figure>\n'
      '</section>')


def _html_table(columns: Sequence[comparison.Column],
                results: Sequence[comparison.Result], label: str) -> str:
  """A table in a box of its own, which scrolls where it is too narrow."""
  classes = _classes(columns)
  lines = [f'<div class="scroll" role="region" aria-labelledby="{label}" '
           'tabindex="0">', '<table>', '<thead>']
  lines += _html_head(columns, classes)
  lines += ['</thead>', '<tbody>']
  for result in results:
    lines.append('<tr>')
    for index, column in enumerate(columns):
      tag, scope = ('td', '') if index else ('th', ' scope="row"')
      lines.append(f'<{tag}{scope}{classes[index]}>'
                   f'{_html_cell(column, result, results[0])}</{tag}>')
    lines.append('</tr>')
  return '\n'.join([*lines, '</tbody>', '</table>', '</div>'])


def _html_head(columns: Sequence[comparison.Column],
               classes: Sequence[str]) -> Iterator[str]:
  """One row of headings, or two where some of them stand in groups."""
  is_grouped = any(column.group for column in columns)
  span = ' rowspan="2"' if is_grouped else ''
  yield '<tr>'
  for group, members in itertools.groupby(
      zip(columns, classes), lambda member: member[0].group):
    members = list(members)
    if group:
      yield (f'<th scope="colgroup" colspan="{len(members)}"{members[0][1]}>'
             f'{_text(_with_unit(group, members[0][0]))}</th>')
    else:
      for column, name in members:
        heading = _text(_with_unit(column.heading, column))
        yield f'<th scope="col"{span}{name}>{heading}</th>'
  yield '</tr>'
  if is_grouped:
    yield '<tr>'
    for column, name in zip(columns, classes):
      if column.group:
        yield f'<th scope="col"{name}>{_text(column.heading)}</th>'
    yield '</tr>'


def _classes(columns: Sequence[comparison.Column]) -> list[str]:
  """The attribute of the cells of every column, for the style sheet."""
  attributes = []
  previous = ''
  for column in columns:
    names = []
    if column.heading in _WORDS:
      names.append('text')
    if column.heading == 'Steps':
      names.append('steps')
    if column.group != previous:
      names.append('start')
    previous = column.group
    attributes.append(f' class="{" ".join(names)}"' if names else '')
  return attributes


def _html_cell(column: comparison.Column, result: comparison.Result,
               first: comparison.Result) -> str:
  cell = column.cell(result, first)
  text = _text(cell.text)
  if column.heading in _WORDS:
    text = _PART_END.sub(r'\1<wbr>', text)
  if cell.delta:
    text += f' <span class="delta">{_text(cell.delta)}</span>'
  if cell.note:
    text += f' <span class="note">{_text(cell.note)}</span>'
  return text


def _markdown(results: Sequence[comparison.Result]) -> str:
  """The tables and the notes as Markdown."""
  return '\n'.join([
      f'# {_TITLE}', '', _subtitle(results), '',
      *_markdown_table(comparison.columns(results), results), '',
      _deltas(results), '', '## Where the figures are from', '',
      *(f'- {_escaped(note)}' for note in _NOTES), '',
      *_markdown_table(comparison.source_columns(), results), ''])


def _markdown_table(columns: Sequence[comparison.Column],
                    results: Sequence[comparison.Result]) -> Iterator[str]:
  def row(cells):
    return f'| {" | ".join(cells)} |'

  yield row(_with_unit(f'{column.group} {column.heading}'.strip(), column)
            for column in columns)
  yield row('---' if column.heading in _WORDS else '---:'
            for column in columns)
  for result in results:
    yield row(_markdown_cell(column.cell(result, results[0]))
              for column in columns)


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
          'that is not finished is compared as far as it got.')


def _with_unit(heading: str, column: comparison.Column) -> str:
  return f'{heading}, {column.unit}' if column.unit else heading


def _text(text: str) -> str:
  return html.escape(text)


def _escaped(text: str) -> str:
  """Text that Markdown must not take for anything else."""
  return _MARKDOWN_SPECIAL.sub(r'\\\1', ' '.join(text.split()))


def _data_uri(png: bytes) -> str:
  return f'data:image/png;base64,{base64.b64encode(png).decode()}'
