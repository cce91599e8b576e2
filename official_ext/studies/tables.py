"""The tables of a study's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from official_ext.command_line import tables
from official_ext.layouts import search
from official_ext.studies import comparisons
from official_ext.studies import study_file

_RIGHT = '---:'


def rows(study: study_file.Study,
         found: Mapping[str, comparisons.Row]) -> str:
  """Returns the table of the rows, in Markdown.

  Args:
    study: the study.
    found: what there is of its rows, by their names.
  """
  lines = []
  rates, times, cpu_times, memory = (
      comparisons.medians(found, column).values for column in (
          'steps_per_second', 'seconds', 'cpu_seconds', 'peak_memory_gib'))
  for name, row in found.items():
    is_baseline = name == study.baseline
    difference = comparisons.difference(row, found[study.baseline])
    lines.append([
        name, _layout(row), _cell(row.median('gmacs'), search.four_digits),
        _cell(row.median('parameters'), '{:,.0f}'.format),
        _seeds(study.rows[name], row), mean(row),
        '' if is_baseline else interval(difference),
        '' if is_baseline else comparisons.compared(difference),
        _cell(rates.get(name),
              lambda rate: tables.significant(1_000 / rate)),
        _cell(times.get(name),
              lambda seconds: tables.significant(seconds / 60)),
        _cell(cpu_times.get(name),
              lambda seconds: tables.significant(seconds / 60)),
        _cell(memory.get(name), '{:.2f}'.format)])
  return tables.markdown(
      ['row', 'layout', 'GMACs', 'parameters', 'seeds',
       f'{study.metric.label}, %', f'points above {study.baseline}',
       f'than {study.baseline}', 'ms per step', 'minutes', 'CPU minutes',
       'GiB'],
      lines, ['---'] * 2 + [_RIGHT] * 5 + ['---'] + [_RIGHT] * 4)


def claims(study: study_file.Study,
           found: Mapping[str, comparisons.Row]) -> str:
  """Returns the table of the claims, in Markdown.

  Args:
    study: the study; it has claims.
    found: what there is of its rows, by their names.
  """
  lines = []
  for claim in study.claims:
    difference = comparisons.difference(found[claim.row], found[claim.against])
    bound = (f'above {claim.above:+g}' if claim.above is not None else
             f'below {claim.below:+g}')
    lines.append([
        claim.text, f'{claim.row} less {claim.against}, {bound}',
        interval(difference), f'{difference.num_seeds}',
        f'**{comparisons.claimed(claim, difference)}**'])
  return tables.markdown(
      ['claim', 'points', 'measured', 'seeds', 'verdict'], lines,
      ['---', '---', _RIGHT, _RIGHT, '---'])


def mean(row: comparisons.Row) -> str:
  """Returns the mean of a row, per cent, with its standard deviation."""
  if row.mean is None:
    return ''
  deviation = '' if row.deviation is None else f' ± {row.deviation:.2f}'
  return f'{row.mean:.2f}{deviation}'


def interval(difference: comparisons.Difference) -> str:
  """Returns a difference with its interval, points."""
  if difference.mean is None:
    return ''
  if difference.low is None:
    return f'{difference.mean:+.2f}'
  return (f'{difference.mean:+.2f} ({difference.low:+.2f} to '
          f'{difference.high:+.2f})')


def diverged(found: Mapping[str, comparisons.Row]) -> list[str]:
  """Returns a line for each training that diverged, with its reason."""
  # What follows is advice for whoever trains, and names their folders.
  return [f'{name}, seed {seed}: {reason.partition(". ")[0]}'
          for name, row in found.items()
          for seed, reason in row.diverged.items()]


def _seeds(row: study_file.Row, found: comparisons.Row) -> str:
  """Returns how many trainings of a row are finished, and of how many."""
  text = f'{len(found.values)}'
  if len(found.values) < len(row.seeds):
    text += f' of {len(row.seeds)}'
  if found.diverged:
    text += f', {len(found.diverged)} diverged'
  return text


def _layout(row: comparisons.Row) -> str:
  layouts: Sequence[str] = list(dict.fromkeys(
      line['layout'] for line in row.lines if line['layout']))
  return ', '.join(f'`{one}`' for one in layouts)


def _cell(value: float | None, form) -> str:
  return '' if value is None else form(value)
