"""The process of a command: its flags, paths, standard streams and end.

Names of files and classes are UTF-8, whatever the locale says; a terminal that
lacks a character gets its escape. `~` is a person's home, as in a shell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import io
import os
import re
import sys

from absl import app
from absl import flags

# What Python says of a text that is no number, and the words for a person.
_OF_PYTHON = (
    (r'invalid literal for int\(\) with base \d+: .*',
     'must be one whole number, such as 1'),
    (r'could not convert string to float: .*',
     'must be one number, such as 0.1'))


def run(main: Callable[[Sequence[str]], None]) -> None:
  """Runs a command, which may lose the reader of its output.

  Args:
    main: the command, as `absl.app.run` takes it.
  """
  # How the names of files are decoded is settled when Python starts; the
  # option is there after a new beginning, or a person has chosen.
  if sys.getfilesystemencoding() != 'utf-8' and 'utf8' not in sys._xoptions:
    os.execv(sys.executable, [
        sys.executable, '-X', 'utf8', *sys.orig_argv[1:]])
  _open_closed_streams()
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors='backslashreplace')

  def flushed(argv):
    main(_expand_home(argv))
    # What is written when the interpreter ends can no longer be caught.
    sys.stdout.flush()

  try:
    app.run(flushed, flags_parser=_parse)
  except BrokenPipeError:
    # The interpreter must not write at its end.
    sink = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
      os.dup2(sink, stream.fileno())
    raise SystemExit(1) from None


def _parse(argv: Sequence[str]) -> list[str]:
  """Parses the flags; returns what is left without them."""
  try:
    return flags.FLAGS(argv)
  except flags.Error as error:
    message = str(error)
    for of_python, words in _OF_PYTHON:
      message = re.sub(of_python, words, message, flags=re.DOTALL)
    raise SystemExit(
        f'FATAL Flags parsing error: {message}\n'
        'Pass --helpshort or --helpfull to see help on flags.') from None


def _open_closed_streams() -> None:
  """Lets closed streams lead nowhere.

  The next file to be opened would get their number, and what is printed.
  """
  for number, (name, mode) in enumerate((
      ('stdin', 'r'), ('stdout', 'w'), ('stderr', 'w'))):
    if getattr(sys, name) is not None:
      continue
    try:
      os.fstat(number)
      stream = open(os.devnull, mode, encoding='utf-8')
    except OSError:
      # The lowest number that is free: this one, since those below are open.
      os.open(os.devnull, os.O_RDWR)
      os.set_inheritable(number, True)
      stream = open(number, mode, encoding='utf-8', closefd=False)
    setattr(sys, name, stream)


def _expand_home(argv: Sequence[str]) -> list[str]:
  """Replaces `~` in flags, in place, and in arguments, which are returned."""
  for name in flags.FLAGS:
    flag = flags.FLAGS[name]
    if isinstance(flag.value, str):
      flag.value = os.path.expanduser(flag.value)
    elif isinstance(flag.value, list):
      flag.value = [os.path.expanduser(item) if isinstance(item, str) else item
                    for item in flag.value]
  return [argv[0], *map(os.path.expanduser, argv[1:])]
