"""The one place where an exception becomes what the user reads.

Who raises knows the cause: a ValueError of this project says what was found,
what was expected and what to type instead. Who knows what a foreign error means
raises a `UserError` in its place. A command works inside `reported`, which
prints the message and ends the command with the error's status, mostly 1. Any
other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
import contextlib
import re
import sys
from typing import NoReturn

from absl import app

# Where in a graph an error of TensorFlow was raised.
_OPERATION = re.compile(
    r'\{\{(?:function_)?node [^}]*\}\} ?| ?\[Op:\w+\]( name:)?')
# What gin adds to every error that passes a function which it configures.
_CONFIGURABLE = re.compile(r"\n  In call to configurable '[^\n]*")


class UserError(ValueError):
  """An error that a person can fix, in words for them.

  Attributes:
    exit_status: what a command ends with.
    message: the words.
  """
  exit_status = 1

  def __init__(self, message: str = ''):
    super().__init__(message)
    # Where gin passes the error on, it adds lines to its text, not to this.
    self.message = message


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
  """Checks that a value is one of a few.

  Args:
    name: what it is the value of, such as a setting.
    value: what was given.
    choices: what is taken.

  Raises:
    ValueError: if it is none of them, with all of them.
  """
  if value not in choices:
    raise ValueError(
        f'{name} is {value!r}, but must be one of {", ".join(choices)}.')


def message(error: BaseException) -> str:
  """Returns the message of an error.

  Args:
    error: any exception; those of TensorFlow have a `message`, without what
      Python prints around it.

  Returns:
    The message without the operation of TensorFlow that it names, and without
    what gin adds; the error's type where it has no message.
  """
  text = getattr(error, 'message', None) or str(error)
  text = _CONFIGURABLE.sub('', _OPERATION.sub('', text))
  return text.strip() or repr(error)


def reason(error: BaseException) -> str:
  """Returns the first line of a message, to be quoted in another sentence."""
  return message(error).splitlines()[0].rstrip('.')


def fail(error: BaseException | str) -> NoReturn:
  """Ends the command with an error for the person who typed it."""
  text = error if isinstance(error, str) else message(error)
  print(f'error: {text}', file=sys.stderr)
  raise SystemExit(getattr(error, 'exit_status', UserError.exit_status))


def refuse_arguments(argv: Sequence[str],
                     hint: str = 'flags begin with --') -> None:
  """Refuses what is no flag, for a command that takes flags alone.

  Args:
    argv: the command and its arguments without the flags.
    hint: what to type instead.

  Raises:
    app.UsageError: if there is an argument.
  """
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}: {hint}')


@contextlib.contextmanager
def reported(*kinds: type[BaseException]) -> Iterator[None]:
  """Ends the command with a line where a block raises what a user can fix.

  Args:
    *kinds: what to report; none given: ValueError, OSError and the errors of
      TensorFlow.

  Yields:
    Nothing.
  """
  try:
    yield
  except BrokenPipeError:
    # The reader of the output has gone; `library_logs.run` ends the command.
    raise
  except Exception as error:
    if not isinstance(error, kinds or _expected()):
      raise
    fail(error)


def _expected() -> tuple[type[BaseException], ...]:
  """Returns what a command reports unless it says otherwise."""
  # Not imported here: not every command needs TensorFlow, and it must come
  # after `library_logs.silence`.
  tensorflow = sys.modules.get('tensorflow')
  native = (tensorflow.errors.OpError,) if tensorflow else ()
  return (ValueError, OSError, *native)
