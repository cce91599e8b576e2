"""Formats tables as Markdown or for a terminal, and the numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import itertools
import re

# In a cell, Markdown takes a bar for its end unless it is escaped.
_BAR, _ESCAPED = re.compile(r'(?<!\\)\|'), r'\|'


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]],
             rules: Sequence[str] = ()) -> str:
  """Formats a table.

  Args:
    header: the headings.
    rows: the cells; a bar in one does not end it, whether it is escaped or not.
    rules: below the headings, '---:' where a column is aligned to the right;
      by default none is.

  Returns:
    Several lines.
  """
  rules = rules or ['---'] * len(header)
  return '\n'.join(
      f'| {" | ".join(_BAR.sub(_ESCAPED, cell) for cell in cells)} |'
      for cells in (header, rules, *rows))


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
  """Formats a table for a terminal, with two spaces between the columns.

  Args:
    header: the headings.
    rows: the cells; the first is aligned to the left, the others to the right.
      What a row lacks at its end is left empty.

  Returns:
    Several lines.
  """
  columns = list(itertools.zip_longest(header, *rows, fillvalue=''))
  for index, cells in enumerate(columns):
    width = max(map(len, cells))
    columns[index] = [cell.rjust(width) if index else cell.ljust(width)
                      for cell in cells]
  return '\n'.join('  '.join(cells).rstrip() for cells in zip(*columns))


def counted(number: int, one: str, several: str = '') -> str:
  """Returns a number with what it counts, such as '1 class' or '2 classes'.

  Args:
    number: how many.
    one: what is counted, in the singular.
    several: in the plural; by default with an s.

  Returns:
    The text.
  """
  return f'{number:,} {one if number == 1 else several or f"{one}s"}'


def significant(value: float) -> str:
  """Formats three digits of a positive number, or all of a large one."""
  # From here on three digits would round to 100, and end in a point.
  return f'{value:,.0f}' if value >= 99.95 else f'{value:#.3g}'
