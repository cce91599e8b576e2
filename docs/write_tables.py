"""Writes the tables of figures into the pages: `make tables`.

A page names the file of docs/figures that a table is of, between marks:

  <!-- table: train_step_224.csv -->
  ...
  <!-- end -->

Each file is what the command in its head wrote, so that no figure is typed. A
second word names another view of the file: `train_step_224.csv results`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import pathlib
import re

import yaml

from official_ext.benchmarks import csv_file
from official_ext.pretrained import pareto_front

DOCS = pathlib.Path(__file__).parent
REPOSITORY = DOCS.parent
FIGURES = DOCS / 'figures'
RECORDS = DOCS / 'experiments.yaml'
PAGES = (REPOSITORY / 'README.md', *sorted(DOCS.glob('*.md')))

_MARKED = re.compile(
    r'(<!-- table: (\S+\.csv)(?: (\w+))? -->\n)(.*?)(<!-- end -->)', re.S)
_VIT = "Model Garden's vit"
# The paper's rows of the layouts in the table of results.
_PAPER_ROWS = {'B12': 'table2/b12', 'B6-6': 'table2/b6-6_mean',
               'B4-4-4': 'table2/b4-4-4_mean'}

Row = Mapping[str, str]
# The heading of a column, and its cells by the row and all rows.
Column = tuple[str, Callable[[Row, Sequence[Row]], str]]


def _number(name: str, form: str = '{}', scale: float = 1.0):
  """Returns a cell: a column of the file as a number, '' where it is empty."""
  def cell(row, rows):
    del rows
    return form.format(float(row[name]) * scale) if row.get(name) else ''
  return cell


def _text(name: str, form: str = '{}'):
  """Returns a cell: a column of the file as it stands, '' where it is empty."""
  return lambda row, rows: form.format(row[name]) if row.get(name) else ''


def _from_to(name: str):
  """Returns a cell: a count after the first third, and at the end."""
  return lambda row, rows: (
      f'{row[f"{name}_after_a_third"]} to {row[f"{name}_at_the_end"]}')


def _ms(name: str):
  """Returns a cell: a median with the least and the most, ms."""
  def cell(row, rows):
    del rows
    if not row.get(f'{name}ms') and not row.get(f'{name}median_ms'):
      return row.get('status', '')
    median = row.get(f'{name}median_ms') or row[f'{name}ms']
    least = row.get(f'{name}min_ms') or row[f'{name}ms_min']
    most = row.get(f'{name}max_ms') or row[f'{name}ms_max']
    return '{} ({} to {})'.format(
        *(f'{_three_digits(float(value))}' for value in (median, least, most)))
  return cell


def _three_digits(value: float) -> str:
  return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def _model(row: Row, rows: Sequence[Row]) -> str:
  del rows
  return _VIT if row['layout'] == 'vit' else row['tokens']


def _speed_up(xla: str):
  """Returns a cell: the speed of the layout under XLA on or off."""
  def cell(row, rows):
    return next(
        f'{float(other["speed_up"]):.2f}x' for other in rows
        if (other['layout'], other['xla']) == (row['layout'], xla))
  return cell


def _paper(row: Row, rows: Sequence[Row]) -> str:
  """Returns a cell: the paper's accuracy on ImageNet, per cent."""
  del rows
  record = _record(row)
  if record is None:
    return ''
  if 'paper' in record:
    return f'{record["paper"]["top_1"]}'
  return 'about ' + re.search(r'about ([\d.]+\d)', record['paper_says'])[1]


def _reached(row: Row, rows: Sequence[Row]) -> str:
  """Returns a cell: our accuracy on ImageNet, per cent."""
  del rows
  record = _record(row)
  if record is None or not record['reached']:
    return 'not run'
  return f'{record["reached"]["top_1"]}'


def _record(row: Row) -> Mapping | None:
  records = yaml.safe_load(RECORDS.read_text())
  return records.get(_PAPER_ROWS.get(row['layout']))


def _whole(rows: Sequence[Row]) -> Row:
  """Returns the row of the plain ViT among layouts of its weights."""
  return next(row for row in rows if not row['pooling'])


def _saved(row: Row, rows: Sequence[Row]) -> str:
  """Returns a cell: by how much a layout costs less than the ViT."""
  return f'{float(row["gmacs"]) / float(_whole(rows)["gmacs"]) - 1:+.0%}'


def _points(row: Row, rows: Sequence[Row]) -> str:
  """Returns a cell: how many points a layout is above the ViT."""
  difference = float(row['top_1_percent']) - float(
      _whole(rows)['top_1_percent'])
  return f'{difference:+.2f}'


def _pooled(row: Row, rows: Sequence[Row]) -> str:
  """Returns a cell: how a layout pools, such as 'max, grid'."""
  del rows
  return ', '.join(filter(None, (row['pooling'], row['pool_axes'])))


# The columns of a table, by the command that wrote the file or by the view.
VIEWS: Mapping[str, Sequence[Column]] = {
    'memory': (
        ('step', _text('step')),
        ('calls of the kernel', _text('fused_calls')),
        ('temporary, GiB', _number('temporary_gib', '{:.1f}')),
        ('variables, GiB', _number('arguments_gib', '{:.1f}'))),
    'results': (
        ('model', _model),
        ('parameters, M', _number('parameters', '{:.1f}', 1e-6)),
        ('GMACs', _number('gmacs', '{:.2f}')),
        ('speed of a train step', _speed_up('off')),
        ('the same with XLA', _speed_up('on')),
        ('activations, MiB per image',
         lambda row, rows: '{:.0f}'.format(
             float(row['activations_mib']) / int(row['batch_size']))),
        ('ImageNet top-1, paper', _paper),
        ('ImageNet top-1, here', _reached)),
    'official_ext.benchmarks.train_step': (
        ('', _model),
        ('XLA', _text('xla')),
        ('GMACs', _number('gmacs', '{:.2f}')),
        ('ms per step', _ms('')),
        ('images/s', _number('images_per_second', '{:.4g}')),
        ('speed-up', _number('speed_up', '{:.2f}')),
        ('ceiling', _number('ceiling', '{:.2f}')),
        ('of it', _number('of_ceiling', '{:.0%}')),
        ('peak, GiB', _number('peak_gib', '{:.2f}')),
        ('activations, MiB', _number('activations_mib', '{:,.0f}')),
        ('saved', _number('memory_saved', '{:.1%}')),
        ('ideal', _number('ideal_memory_saved', '{:.1%}'))),
    'maps': (
        ('feature maps', _text('feature_maps')),
        ('', _model),
        ('parameters, M', _number('parameters', '{:.1f}', 1e-6)),
        ('GMACs', _number('gmacs', '{:.2f}')),
        ('ms per step', _ms('')),
        ('speed-up', _number('speed_up', '{:.2f}')),
        ('peak, GiB', _number('peak_gib', '{:.2f}'))),
    'official_ext.benchmarks.input_pipeline': (
        ('', _text('row')),
        ('images/s', _number('images_per_second', '{:,.0f}')),
        ('least', _number('images_per_second_min', '{:,.0f}')),
        ('most', _number('images_per_second_max', '{:,.0f}')),
        ('per core', _number('images_per_second_per_core', '{:,.0f}')),
        ('CPU ms per image', _number('cpu_ms_per_image', '{:.2f}')),
        ('times the whole', _number('of_pipeline', '{:.3g}x')),
        ('first batch, s', _number('first_batch_seconds', '{:.1f}'))),
    'official_ext.benchmarks.long_training': (
        ('', _text('strategy')),
        ('steps', _number('steps', '{:,.0f}')),
        ('after a third, MiB',
         _number('resident_mib_after_a_third', '{:,.0f}')),
        ('at the end, MiB', _number('resident_mib_at_the_end', '{:,.0f}')),
        ('MiB per 1,000 steps', _number('mib_per_1000_steps', '{:+.1f}')),
        ('threads', _from_to('threads')),
        ('open files', _from_to('open_files'))),
    'official_ext.pretrained.search_layouts': (
        ('layout', _text('layout', '`{}`')),
        ('pooled', _pooled),
        ('GMACs', _number('gmacs', '{:.5f}')),
        ('', _saved),
        ('top-1', _number('top_1_percent', '{:.2f} %')),
        ('points', _points)),
    'official_ext.benchmarks.safety_cost': (
        ('', _text('what')),
        ('without', _number('without', '{:,.4g}')),
        ('with it', _number('with', '{:,.4g}')),
        ('more', lambda row, rows: '{:+.1f} % ± {:.1f}'.format(
            float(row['more_percent']), float(row['error_percent'])))),
    'official_ext.benchmarks.serving': (
        ('layout', _text('layout')),
        ('size, MB', _text('size_mb')),
        ('ms at batch 1', _ms('batch_1_')),
        ('images/s', _text('batch_1_images_per_second')),
        ('speed-up', _text('batch_1_speed_up', '{}x')),
        ('ms at batch 16', _ms('batch_16_')),
        ('images/s', _text('batch_16_images_per_second')),
        ('speed-up', _text('batch_16_speed_up', '{}x'))),
    'official_ext.serving.verify_export': (
        ('', _text('export')),
        ('top-1', _text('top_1_percent', '{} %')),
        ('top-5', _text('top_5_percent', '{} %')),
        ('largest logit difference', _text('largest_logit_difference')),
        ('size, MB', _text('size_mb')),
        ('takes', _text('takes')),
        ('ms at batch 1', _text('ms_batch_1')),
        ('images/s at batch 16',
         _number('images_per_second_batch_16', '{:,.0f}'))),
    'benchmark': (
        ('', _text('row')),
        ('images/s', _number('images_per_second', '{:,.0f}')),
        ('MB/s', _number('mb_per_second', '{:,.0f}')),
        ('start-up, s', _text('start_up_s')),
        ('memory, MB', _text('memory_growth_mb', '+{}'))),
    'official_ext.analysis.salient_area': (
        ('', _text('model')),
        ('50 % of the saliency is in',
         _text('half_percent', '{} % of the pixels')),
        ('90 % of the saliency is in',
         _text('nine_tenths_percent', '{} % of the pixels')),
        ('difference at 50 %, points',
         lambda row, rows: _difference(row, 'half')),
        ('difference at 90 %, points',
         lambda row, rows: _difference(row, 'nine_tenths'))),
}

def _front_and_whole(rows: Sequence[Row]) -> Sequence[Row]:
  """Returns the Pareto front, and the plain ViT even if it is not on it."""
  front, whole = pareto_front.find(rows), _whole(rows)
  return front if whole in front else [*front, whole]


# Which rows of a file are shown, by the command, where it is not all of them.
SELECTIONS: Mapping[str, Callable[[Sequence[Row]], Sequence[Row]]] = {
    'official_ext.pretrained.search_layouts': _front_and_whole,
}


def _difference(row: Row, name: str) -> str:
  if not row[f'{name}_difference']:
    return ''
  return (f'{row[f"{name}_difference"]} ± {row[f"{name}_difference_ci95"]}')


def table(name: str, view: str | None = None) -> str:
  """Returns the Markdown of a file of figures.

  Args:
    name: of the file in docs/figures.
    view: whose columns; None: those of the command that wrote the file, or the
      file's own where that command has none here.

  Raises:
    ValueError: if the file does not exist, or does not say whence it is.
  """
  path = FIGURES / name
  if not path.exists():
    raise ValueError(f'{name} is not in {FIGURES}.')
  file = csv_file.read(str(path))
  missing = {'command', 'date', 'machine', 'versions'} - set(file.head)
  if missing or not file.rows:
    raise ValueError(f'{name} lacks rows or, in its head, {sorted(missing)}.')
  command = _command(file.head['command'])
  columns = VIEWS.get(view or command) or [
      (column, _text(column)) for column in file.rows[0]]
  rows = SELECTIONS.get(command, list)(file.rows)
  if view == 'results':
    rows = [row for row in rows if row['xla'] == 'off']
  lines = [[heading for heading, _ in columns], ['---'] * len(columns)]
  lines += [[cell(row, file.rows) for _, cell in columns] for row in rows]
  text = ''.join(f'| {" | ".join(line)} |\n' for line in lines)
  whence = '; '.join(file.head[key] for key in ('machine', 'versions', 'date'))
  source = f'`{file.head["command"]}`'
  if view:
    return f'{text}\n({whence}.)\n'
  note = f'; {file.head["note"]}' if file.head.get('note') else ''
  return f'{text}\n({source}: {whence}{note}.)\n'


def _command(command: str) -> str:
  """Returns the module of `python -m MODULE`, make's target or a script."""
  return re.search(r'(?:-m|make|python(?! -m)) (\S+)', command)[1]


def page(text: str) -> str:
  """Returns the text of a page with its tables as the files have them."""
  return _MARKED.sub(
      lambda match: f'{match[1]}{table(match[2], match[3])}{match[5]}', text)


if __name__ == '__main__':
  for file_of_page in PAGES:
    before = file_of_page.read_text()
    after = page(before)
    if after != before:
      file_of_page.write_text(after)
      print(f'wrote {file_of_page}')
