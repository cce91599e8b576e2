"""Formats tables as Markdown, and the numbers in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]],
             rules: Sequence[str] = ()) -> str:
  """Formats a table.

  Args:
    header: the headings.
    rows: the cells, which must not hold what Markdown takes for their end.
    rules: below the headings, '---:' where a column is aligned to the right;
      by default none is.

  Returns:
    Several lines.
  """
  rules = rules or ['---'] * len(header)
  return '\n'.join(
      f'| {" | ".join(cells)} |' for cells in (header, rules, *rows))


def significant(value: float) -> str:
  """Formats three digits of a positive number, or all of a large one."""
  # From here on three digits would round to 100, and end in a point.
  return f'{value:,.0f}' if value >= 99.95 else f'{value:#.3g}'
