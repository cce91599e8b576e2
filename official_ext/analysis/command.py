"""The skeleton of the commands: hush the libraries, work, or fail in one line.

Imports no TensorFlow, so that a typo is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
from typing import Any

from official_ext.analysis import arguments
from official_ext.command_line import errors
from official_ext.command_line import library_logs


@contextlib.contextmanager
def work(output: Sequence[str] = ()) -> Iterator[None]:
  """Runs what a command does, once its flags have been checked.

  The block imports what needs TensorFlow. What goes wrong in it ends the
  command with a line for the person who typed it.

  Args:
    output: files that the command will write; their folders are made first.

  Yields:
    Once: the libraries are silent.
  """
  library_logs.silence()
  with errors.reported():
    arguments.make_folders(output)
    yield


def save(figure: Any, output: Sequence[str]) -> None:
  """Writes a figure, closes it, and says where it is."""
  from official_ext.analysis import figures  # pylint: disable=g-import-not-at-top
  figures.save(figure, output)
  tell_written(output)


def tell_written(paths: Sequence[str]) -> None:
  """Says which files a command has written."""
  print(f'wrote {", ".join(paths)}')
