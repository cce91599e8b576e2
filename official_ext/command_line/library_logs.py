"""Keeps library logs that a user can do nothing about off the screen.

TensorFlow reads its log level when it is imported, so a command calls
`silence` first and imports TensorFlow after it. What is hidden comes back with
`--library_logs`. Warnings of this project always show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import contextlib
import errno
import logging as python_logging
import os
import pathlib
import sys
import types
import warnings

from absl import app
from absl import flags
from absl import logging

from official_ext.command_line import flag_errors
from official_ext.command_line import paths
from official_ext.command_line import streams

LIBRARY_LOGS = flags.DEFINE_bool(
    'library_logs', False,
    'Show the messages of TensorFlow, Keras, Orbit and Model Garden too.')

_PROJECT_DIR = f'{pathlib.Path(__file__).resolve().parents[1]}{os.sep}'


# What this file of TensorFlow logs as an error, it raises too.
_RAISES = 'async_checkpoint_helper.py'
# The warning of TensorFlow of a checkpoint of which something stays unread.
_UNRESTORED = (
    'Detecting that an object or model or tf.train.Checkpoint is being deleted',
    'Value in checkpoint could not be found in the restored object',
    'An attribute in the restored object could not be found in the checkpoint')


class _ProjectOnly(python_logging.Filter):
  """Lets errors pass, and of lesser messages only this project's."""

  def filter(self, record: python_logging.LogRecord) -> bool:
    if os.path.basename(record.pathname) == _RAISES:
      return False
    return (record.levelno >= python_logging.ERROR or
            record.pathname.startswith(_PROJECT_DIR))


class _Plain(python_logging.Formatter):
  """A message as it is, and of warnings also that they are."""

  def format(self, record: python_logging.LogRecord) -> str:
    message = record.getMessage()
    if record.levelno <= python_logging.INFO:
      return message
    return f'{record.levelname.lower()}: {message}'


def silence() -> None:
  """Hides library messages; call it before TensorFlow is imported."""
  if LIBRARY_LOGS.value:
    logging.set_verbosity(logging.INFO)
    return
  # 3 leaves nothing of the C++ side: without a GPU it reports one as an error,
  # and its real errors reach Python as exceptions.
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  warnings.simplefilter('ignore')
  handler = logging.get_absl_handler()
  handler.addFilter(_ProjectOnly())
  handler.setFormatter(_Plain())
  logging.set_verbosity(logging.INFO)
  # TensorFlow's Python logger has a handler of its own.
  python_logging.getLogger('tensorflow').setLevel(python_logging.ERROR)


@contextlib.contextmanager
def without_prints():
  """Drops what libraries print in this block; it is in their logs as well."""
  if LIBRARY_LOGS.value:
    yield
    return
  with open(os.devnull, 'w', encoding='utf-8') as sink, (
      contextlib.redirect_stdout(sink)):
    yield


@contextlib.contextmanager
def without_unrestored():
  """Drops TensorFlow's warning of what a checkpoint holds beside a model.

  A SavedModel has some that no object takes, and says so each time it is
  loaded. Weights that are missing are errors.
  """
  def is_other(record: python_logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_UNRESTORED)

  logger = python_logging.getLogger('tensorflow')
  logger.addFilter(is_other)
  try:
    yield
  finally:
    logger.removeFilter(is_other)


@contextlib.contextmanager
def without_native_messages():
  """Drops what C++ code writes to the terminal, past Python, in this block.

  For libraries that have no log level; their errors are exceptions.
  """
  if LIBRARY_LOGS.value:
    yield
    return
  sys.stderr.flush()
  kept = os.dup(2)
  sink = os.open(os.devnull, os.O_WRONLY)
  try:
    os.dup2(sink, 2)
    yield
  finally:
    os.dup2(kept, 2)
    os.close(kept)
    os.close(sink)


def _adopt_help(command: types.ModuleType) -> None:
  """Lets --help show what it would after `python -m`.

  An installed command is imported by a script, of which absl prints the
  docstring and the flags.

  Args:
    command: the module that defines the flags.
  """
  for flag in (*flags.FLAGS.get_key_flags_for_module(command),
               flags.FLAGS[LIBRARY_LOGS.name]):
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
  script = sys.modules['__main__']
  script.__doc__ = script.__doc__ or command.__doc__


def run(main: Callable[[Sequence[str]], None],
        interrupted: Callable[[], str] = lambda: 'interrupted') -> None:
  """Runs a command that may be stopped, or lose the reader of its output.

  Args:
    main: the command, as `absl.app.run` takes it.
    interrupted: returns what to say when Ctrl-C ends it.
  """
  _adopt_help(sys.modules[main.__module__])

  def flushed(argv):
    paths.check_utf8(argv)
    main(paths.expand_flags(argv))
    # What is written when the interpreter ends can no longer be caught.
    sys.stdout.flush()

  streams.prepare()
  try:
    app.run(flushed, flags_parser=flag_errors.parse)
  except KeyboardInterrupt:
    print(interrupted(), file=sys.stderr)
    raise SystemExit(130) from None
  except BrokenPipeError:
    streams.abandon()
    raise SystemExit(1) from None
  except OSError as error:
    if error.errno != errno.ENOSPC or error.filename:
      raise
    print(f'error: the output: {error.strerror}', file=sys.stderr)
    streams.abandon()
    raise SystemExit(1) from None
