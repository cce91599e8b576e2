"""Files that commands write: their places tried first, tables as CSV and JSON.

Imports no TensorFlow, so that a typo is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import csv
import io
import json
import os
import tempfile
from typing import Any


def make_folders(paths: Sequence[str], flag: str = '--output') -> None:
  """Makes the folders of files to write, before the work that they wait for.

  Args:
    paths: of the files.
    flag: that they were given with.

  Raises:
    OSError: if one cannot be made, or is not to be written to.
  """
  for path in paths:
    if os.path.isdir(path):
      raise IsADirectoryError(
          f'{flag}={path} is a folder. Name a file in it.')
    make_folder(os.path.dirname(path) or '.', f'{flag}={path}')


def make_folder(folder: str, flag: str) -> None:
  """Makes a folder, and tries whether a file can be written there.

  Args:
    folder: its path.
    flag: as it was typed, for the error.

  Raises:
    OSError: if it cannot be made, or is not to be written to.
  """
  if os.path.exists(folder) and not os.path.isdir(folder):
    raise NotADirectoryError(f'{flag}: {folder} is a file. Name a folder.')
  try:
    os.makedirs(folder, exist_ok=True)
    # Permissions do not tell of every file system what happens.
    with tempfile.TemporaryFile(dir=folder):
      pass
  except OSError as error:
    raise OSError(
        f'{flag}: {folder} cannot be written to ({error.strerror}). Name '
        'another place.') from error


def json_text(described: dict[str, Any]) -> bytes:
  """Returns values as the text of a JSON file, UTF-8."""
  return (json.dumps(described, indent=2, ensure_ascii=False,
                     allow_nan=False) + '\n').encode()


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
  """Returns a table as the text of a CSV file, UTF-8; NaN is an empty cell."""
  return b''.join(map(csv_line, (header, *rows)))


def csv_line(cells: Sequence[Any]) -> bytes:
  """Returns a row as a line of a CSV file, UTF-8; NaN is an empty cell."""
  text = io.StringIO()
  # What is in the end of a line is quoted in a cell: readers take \r for one.
  end = '\r\n'
  csv.writer(text, lineterminator=end).writerow([
      '' if value is None or value != value else value for value in cells])
  return f'{text.getvalue().removesuffix(end)}\n'.encode()
