"""Which files an input path means: patterns, and folders taken as they are.

An input path is Model Garden's: one pattern or several, in a list or with
commas between. Its matching takes every comma and bracket of a folder's name
for a part of the pattern. Here a character in brackets is itself, a comma too:
`photos[,] 2024/train*` lies in the folder `photos, 2024`.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import re

import tensorflow as tf

_SPECIAL = re.compile(r'[*?\[,\\]|^\s')
# What lies between commas that are not in brackets.
_PATTERNS = re.compile(r'(?:\[[^\]]*\]|[^,])+')


def in_folder(folder: str, pattern: str) -> str:
  """Returns a pattern of files in a folder, whatever is in the folder's name.

  Args:
    folder: its path, taken literally.
    pattern: of the files in it, such as 'train*'.

  Returns:
    An input path.
  """
  return os.path.join(literal(folder), pattern)


def of_flag(path: str | Sequence[str]) -> str | Sequence[str]:
  """Returns what a person means who types a pattern after a flag.

  Args:
    path: a file, or a pattern of files in a folder; or the input path of a
      training, which stays what it is.

  Returns:
    An input path; a file or a folder that exists under the name that was typed
    is taken literally.
  """
  if not isinstance(path, str):
    return path
  if tf.io.gfile.exists(path):
    return literal(path)
  folder, name = os.path.split(path)
  return in_folder(folder, name) if tf.io.gfile.isdir(folder) else path


def match(input_path: str | Sequence[str]) -> list[str]:
  """Finds the files of an input path.

  Args:
    input_path: one pattern or several, in a list or with commas between.

  Returns:
    At least one path; one that is no pattern need not exist.

  Raises:
    ValueError: if a pattern matches no file.
  """
  paths = [input_path] if isinstance(input_path, str) else input_path
  files = []
  for path in paths:
    for pattern in _PATTERNS.findall(path):
      if pattern.strip():
        files += _match(pattern.strip())
  if not files:
    raise ValueError(f'{input_path!r} names no file.')
  return files


def _match(pattern: str) -> list[str]:
  # As in Model Garden, brackets alone make no pattern of a file that exists.
  if not re.search(r'[*?\[]', pattern) or (
      not re.search(r'[*?]', pattern) and tf.io.gfile.exists(pattern)):
    return [pattern]
  files = tf.io.gfile.glob(pattern)
  if not files:
    raise ValueError(f'{pattern!r} matches no file.')
  return files


def literal(path: str) -> str:
  """Returns a pattern that means one path, whatever is in its name."""
  # In brackets, too, a backslash takes another before it.
  return _SPECIAL.sub(r'[\g<0>]', path).replace('[\\]', '[\\\\]')
