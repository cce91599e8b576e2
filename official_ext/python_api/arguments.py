"""What a program hands over, checked and in the words of Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import logging as python_logging
import operator
import os
import re
from typing import Any

from absl import logging
import numpy as np
from official.modeling import hyperparams

from official_ext.command_line import errors

# How a message names what is typed in a command, and what it is here.
_WORDS = (
    (re.compile(r'--params_override: '), ''),
    (re.compile(r'\btask\.model\.backbone\.funnel_vit\.'), ''),
    (re.compile(r'\btask\.model\.backbone\.funnel_vit\b'), 'the backbone'),
    (re.compile(r'\btask\.model\.input_size\b'), 'image_size'),
    (re.compile(r'\btask\.model\.num_classes\b'), 'num_classes'),
    (re.compile(r'\btask\.init_checkpoint_modules=all_but_head\b'),
     'num_classes=N, of a new head,'),
    (re.compile(r'\btask\.init_checkpoint\b'), 'weights'),
    (re.compile(r'\bruntime\.mixed_precision_dtype is not bfloat16\b'),
     "Keras's global policy is not mixed_bfloat16"),
    (re.compile(r'--(checkpoint|ema|image_size)\b'), r'\1'),
)


def whole_number(name: str, value: Any) -> int:
  """Takes an integer of Python, NumPy or TensorFlow.

  Args:
    name: of the argument.
    value: what was given.

  Returns:
    The number.

  Raises:
    errors.UserError: if it is no integer, or less than 1.
  """
  number = _integer(value)
  if number is None:
    raise errors.UserError(
        f'{name} is {value!r}, but must be a whole number of at least 1.')
  if number < 1:
    raise errors.UserError(f'{name} is {number}, but must be at least 1.')
  return number


def sides(image_size: int | Sequence[int]) -> tuple[int, int]:
  """Takes the size of images.

  Args:
    image_size: a side in px, or (height, width).

  Returns:
    Height and width, px.

  Raises:
    errors.UserError: if it is neither.
  """
  side = _integer(image_size)
  if side is not None:
    given = [side, side]
  else:
    given = [_integer(side) for side in image_size] if isinstance(
        image_size, (Sequence, np.ndarray)) else []
  if len(given) != 2 or not all(side and side > 0 for side in given):
    raise errors.UserError(
        f'image_size is {image_size!r}, but must be a side in px, such as 224, '
        'or (height, width).')
  return tuple(given)


def path(name: str, value: str | os.PathLike) -> str:
  """Takes the path of a model.

  Args:
    name: of the argument.
    value: what was given.

  Returns:
    The path as text.

  Raises:
    errors.UserError: if it is no path, or none of text.
  """
  if isinstance(value, os.PathLike):
    value = os.fspath(value)
  if not isinstance(value, str) or not value:
    raise errors.UserError(
        f"{name} is {value!r:.80}, but must be a path, such as 'runs/digits'.")
  return value


def plain(value: Any) -> Any:
  """Makes of a setting what a YAML file may hold.

  Args:
    value: of Python or NumPy, a dataclass of settings, or a collection of such.

  Returns:
    The same of dictionaries, lists and Python's own numbers.
  """
  if isinstance(value, hyperparams.Config):
    value = value.as_dict()
  if isinstance(value, Mapping):
    return {str(key): plain(below) for key, below in value.items()}
  if isinstance(value, (list, tuple)):
    return [plain(below) for below in value]
  if isinstance(value, (np.generic, np.ndarray)):
    return value.tolist()
  return value


@contextlib.contextmanager
def in_words_of_python() -> Iterator[None]:
  """Names in the messages of a block what is typed in Python, not in a command.

  Yields:
    Nothing; warnings of the block are logged in these words.

  Raises:
    errors.UserError: what the block raised, as the same kind of it.
  """
  logger, translation = logging.get_absl_logger(), _Translation()
  logger.addFilter(translation)
  try:
    yield
  except ValueError as error:
    kind = type(error) if isinstance(error, errors.UserError) else (
        errors.UserError)
    raise kind(_translated(errors.message(error))) from error
  finally:
    logger.removeFilter(translation)


class _Translation(python_logging.Filter):
  """Lets every record pass, in the words of Python."""

  def filter(self, record: python_logging.LogRecord) -> bool:
    record.msg, record.args = _translated(record.getMessage()), ()
    return True


def _translated(text: str) -> str:
  for typed, here in _WORDS:
    text = typed.sub(here, text)
  return text


def _integer(value: Any) -> int | None:
  """Returns an integer; None of what is none."""
  if isinstance(value, (bool, np.bool_)):
    return None
  try:
    return operator.index(value)
  except TypeError:
    return None
