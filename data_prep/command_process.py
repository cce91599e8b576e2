"""The process of a command: its paths, standard streams and end.

Names of files and classes are UTF-8, whatever the locale says; a terminal that
lacks a character gets its escape. `~` is a person's home, as in a shell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import io
import os
import sys

from absl import app
from absl import flags


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
    app.run(flushed)
  except BrokenPipeError:
    # The interpreter must not write at its end.
    sink = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
      os.dup2(sink, stream.fileno())
    raise SystemExit(1) from None


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
