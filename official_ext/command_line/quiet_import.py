"""Importing TensorFlow into somebody's program as quietly as the commands do.

What TensorFlow says of CPU, GPU and its own build when it comes up is nothing
that a program can do something about. It reads its level of messages once, so
nothing of the program's settings need stay changed.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import sys
import warnings

_LEVEL = 'TF_CPP_MIN_LOG_LEVEL'
# Nothing, as `library_logs` has it: its errors reach Python as exceptions.
_NOTHING = '3'


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Hides what libraries say while they are imported in this block.

  A level that the program has set stays, and so do its -W options; a TensorFlow
  that was imported before is left as it is.

  Yields:
    Nothing; afterwards the environment and the filters of warnings are what
    they were.
  """
  if 'tensorflow' in sys.modules:
    yield
    return
  is_ours = _LEVEL not in os.environ
  if is_ours:
    os.environ[_LEVEL] = _NOTHING
  try:
    with warnings.catch_warnings():
      if not sys.warnoptions:
        warnings.simplefilter('ignore')
      yield
  finally:
    if is_ours:
      os.environ.pop(_LEVEL, None)
