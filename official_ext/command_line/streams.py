"""Standard input, output and error as a command needs them, whoever starts it.

Names of files and classes are UTF-8: TensorFlow reads paths as such, whatever
the locale says. A terminal that lacks a character gets its escape. Closed
streams lead nowhere, or the next file to be opened would get their number and
what is printed.
"""

from __future__ import annotations

import io
import os
import sys


def prepare() -> None:
  """Makes the streams of this process fit to be written to.

  In a locale that is not UTF-8 the command is begun anew, in Python's UTF-8
  mode: how the names of files are decoded is settled when Python starts.
  """
  # The option is there after the beginning, or a person has chosen.
  if sys.getfilesystemencoding() != 'utf-8' and 'utf8' not in sys._xoptions:
    os.execv(sys.executable, [
        sys.executable, '-X', 'utf8', *sys.orig_argv[1:]])
  for number, (name, mode) in enumerate((
      ('stdin', 'r'), ('stdout', 'w'), ('stderr', 'w'))):
    if getattr(sys, name) is None:
      setattr(sys, name, _open_closed(number, mode))
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors='backslashreplace')


def abandon() -> None:
  """Leaves output and error to themselves: their reader has gone.

  The interpreter writes what is left in them at its end, and must not fail.
  """
  sink = os.open(os.devnull, os.O_WRONLY)
  for stream in (sys.stdout, sys.stderr):
    os.dup2(sink, stream.fileno())


def _open_closed(number: int, mode: str):
  """Opens a closed stream; returns it."""
  try:
    os.fstat(number)
  except OSError:
    # The lowest number that is free: this one, since those below are open.
    os.open(os.devnull, os.O_RDWR)
    os.set_inheritable(number, True)
    return open(number, mode, encoding='utf-8', closefd=False)
  # Another file has its number already.
  return open(os.devnull, mode, encoding='utf-8')
