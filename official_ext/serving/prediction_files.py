"""Files of predictions, written as these are made.

What was computed is there however the command ends: a row follows the other,
and a file is whole as far as it goes.
"""

from __future__ import annotations

import abc
import contextlib
import json
import sys
import textwrap
from typing import Any

from official_ext.command_line import errors
from official_ext.command_line import output_files
from official_ext.serving import predictions

FORMAT_VERSION = 1


class PredictionFile(abc.ABC):
  """What is written of predictions, to a file or to standard output.

  A context: what belongs at the end is written there, also where its block
  raises. A file that is there already stays as it is until the first result.
  """

  def __init__(self, path: str | None):
    """Initialises the file.

    Args:
      path: of the file; None: standard output.
    """
    self._path = path
    self._file = None
    self._size = 0
    self._num_results = 0

  def __enter__(self) -> PredictionFile:
    return self

  def __exit__(self, kind, *_) -> None:
    try:
      # Of nothing at all, nothing is written.
      if self._num_results and (end := self._end()):
        self._write(end)
    except (OSError, errors.UserError):
      # Why the block ended is what counts.
      if kind is None:
        raise
    finally:
      if self._file:
        self._file.close()

  @property
  def num_results(self) -> int:
    """How many are written."""
    return self._num_results

  def add(self, result: predictions.Result) -> None:
    """Writes what a model says of a file.

    Args:
      result: the next one.

    Raises:
      errors.UserError: if the file cannot be written; it ends with the result
        before.
      OSError: if standard output cannot be.
    """
    text = self._row(result)
    if not self._num_results:
      text = self._beginning() + text
    self._write(text)
    self._num_results += 1

  def _write(self, text: bytes) -> None:
    if not self._path:
      sys.stdout.write(text.decode())
      sys.stdout.flush()
      return
    try:
      if not self._file:
        # No buffer would keep what the disk did not take.
        self._file = open(self._path, 'wb', buffering=0)  # pylint: disable=consider-using-with
      rest = memoryview(text)
      while rest:
        rest = rest[self._file.write(rest):]
    except OSError as error:
      if self._file:
        # A pipe cannot be cut, and needs not.
        with contextlib.suppress(OSError):
          self._file.truncate(self._size)
          self._file.seek(self._size)
      raise errors.UserError(
          f'{self._path} cannot be written: {error.strerror}') from error
    self._size += len(text)

  def _beginning(self) -> bytes:
    return b''

  @abc.abstractmethod
  def _row(self, result: predictions.Result) -> bytes:
    """Returns what is written of a result."""

  def _end(self) -> bytes:
    return b''


class Text(PredictionFile):
  """Lines for a person; nothing where there is no prediction."""

  def _row(self, result: predictions.Result) -> bytes:
    text = predictions.as_text(result)
    return f'{text}\n'.encode() if text else b''


class Csv(PredictionFile):
  """UTF-8, a line for each image.

  For each rank it has the number of the class, its name and its probability;
  where there is none these cells are empty, and `error` says why.
  """

  def __init__(self, path: str | None, num_ranks: int):
    """Initialises the file.

    Args:
      path: of the file; None: standard output.
      num_ranks: how many classes every prediction names.
    """
    super().__init__(path)
    self._num_ranks = num_ranks

  def _beginning(self) -> bytes:
    return output_files.csv_line(['image', *(
        f'{part}_{rank}' for rank in range(1, self._num_ranks + 1)
        for part in ('predicted', 'predicted_name', 'probability')), 'error'])

  def _row(self, result: predictions.Result) -> bytes:
    cells: list[Any] = [
        cell for one in result.predictions
        for cell in (one.number, one.name, one.probability)]
    cells += [None] * (3 * self._num_ranks - len(cells))
    return output_files.csv_line([result.image, *cells, result.error])


class Json(PredictionFile):
  """UTF-8; each of its `images` has its `predictions`, or its `error`."""

  def __init__(self, path: str | None, model: str):
    """Initialises the file.

    Args:
      path: of the file; None: standard output.
      model: where the model is from.
    """
    super().__init__(path)
    head = output_files.json_text(
        {'format_version': FORMAT_VERSION, 'model': model, 'images': []})
    self._head, self._tail = head.rsplit(b']', maxsplit=1)

  def _beginning(self) -> bytes:
    return self._head

  def _row(self, result: predictions.Result) -> bytes:
    described = {'image': result.image, 'error': result.error}
    if not result.error:
      described = {'image': result.image, 'predictions': [
          {'class': one.number, 'name': one.name,
           'probability': one.probability} for one in result.predictions]}
    text = json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False)
    separator = ',\n' if self._num_results else '\n'
    return (separator + textwrap.indent(text, '    ')).encode()

  def _end(self) -> bytes:
    return b'\n  ]' + self._tail


def create(format_name: str, path: str | None, num_ranks: int,
           model: str) -> PredictionFile:
  """Prepares a file; nothing is opened yet.

  Args:
    format_name: 'text', 'csv' or 'json'.
    path: of the file; None: standard output.
    num_ranks: how many classes every prediction names.
    model: where the model is from.

  Returns:
    The file.
  """
  if format_name == 'csv':
    return Csv(path, num_ranks)
  if format_name == 'json':
    return Json(path, model)
  return Text(path)

