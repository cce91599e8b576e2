"""Warnings of settings that many rows share, said once, with their rows."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import logging as standard_logging

from absl import logging


class RowWarnings:
  """Keeps what is warned of while rows are resolved."""

  def __init__(self):
    self._rows: dict[str, list[str]] = {}

  @contextlib.contextmanager
  def of(self, row: str) -> Iterator[None]:
    """Keeps the warnings of a block.

    Args:
      row: what they are of.

    Yields:
      Nothing.
    """
    def keep(record: standard_logging.LogRecord) -> bool:
      if record.levelno != standard_logging.WARNING:
        return True
      rows = self._rows.setdefault(record.getMessage(), [])
      if row not in rows:
        rows.append(row)
      return False

    logger = logging.get_absl_logger()
    logger.addFilter(keep)
    try:
      yield
    finally:
      logger.removeFilter(keep)

  def say(self, num_rows: int) -> None:
    """Warns of what was kept.

    Args:
      num_rows: of the study: what all have in common names none.
    """
    for text, rows in self._rows.items():
      names = ', '.join(map(repr, rows))
      of = ('all rows' if len(rows) == num_rows > 1 else
            f'row{"s" if len(rows) > 1 else ""} {names}')
      logging.warning('%s: %s', of, text)
    self._rows.clear()
