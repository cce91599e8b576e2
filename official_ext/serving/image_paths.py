"""Which images a command line means: files, folders, patterns and lists.

In a folder those files are images that the conversion takes for images, those
that cannot be read too: they are missed, not left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
import dataclasses
import functools
import os
import sys

import tensorflow as tf

from official_ext.command_line import errors
from official_ext.data_prep import containers
from official_ext.data_prep import scan

STANDARD_INPUT = '-'
_LIST_END = '.txt'
_PATTERN_CHARACTERS = '*?['


@dataclasses.dataclass(frozen=True)
class ImageFile:
  """An image file that is not read yet.

  Attributes:
    name: its path, as far as it can be printed.
    read: returns its bytes; raises OSError, ValueError or tf.errors.OpError.
  """
  name: str
  read: Callable[[], bytes]


def collect(arguments: Sequence[str]) -> list[ImageFile]:
  """Finds images.

  Args:
    arguments: paths of image files, of folders with images below them, of text
      files (.txt) that name one file or folder a line, patterns, or '-' for
      such lines from standard input. What a list names is taken as it stands,
      from the current folder.

  Returns:
    The images in the order given, those of a folder by their names.

  Raises:
    errors.UserError: if an argument means no image. A file that is named, and
      is not there, fails when it is read.
  """
  return [image for argument in arguments for image in _of_argument(argument)]


def _of_argument(argument: str) -> list[ImageFile]:
  if argument == STANDARD_INPUT:
    return _of_list('standard input', sys.stdin)
  if argument.lower().endswith(_LIST_END):
    if not tf.io.gfile.exists(argument):
      raise errors.UserError(f'{argument} does not exist. It is to name one '
                             'image file or folder a line.')
    with tf.io.gfile.GFile(argument) as file:
      return _of_list(argument, file)
  if any(character in argument for character in _PATTERN_CHARACTERS) and (
      not tf.io.gfile.exists(argument)):
    paths = sorted(tf.io.gfile.glob(argument))
    if not paths:
      raise errors.UserError(f'no file matches {argument!r}.')
    return [image for path in paths for image in _of_path(path)]
  return list(_of_path(argument))


def _of_list(name: str, lines: Iterable[str]) -> list[ImageFile]:
  paths = [line.rstrip('\r\n') for line in lines]
  images = [image for path in paths if path.strip() for image in _of_path(path)]
  if not images:
    raise errors.UserError(
        f'{name} names no image: give one file or folder a line.')
  return images


def _of_path(path: str) -> Iterator[ImageFile]:
  if _printable(path) != path:
    yield ImageFile(_printable(path), functools.partial(
        _refuse, 'its name is not UTF-8, so TensorFlow cannot take it. Rename '
        'it, or name its folder'))
    return
  if not tf.io.gfile.isdir(path):
    yield ImageFile(_printable(path), functools.partial(_read, path))
    return
  is_empty = True
  for found in containers.walk(path):
    name = _printable(os.path.join(path, found.path))
    if isinstance(found, containers.LeftOut):
      if not found.is_lost:
        continue
      read = functools.partial(_refuse, found.reason)
    elif scan.why_left_out(found):
      continue
    else:
      read = found.read
    is_empty = False
    yield ImageFile(name, read)
  if is_empty:
    raise errors.UserError(
        f'there is no image in the folder {path}. Name image files, folders of '
        'them or lists.')


def _read(path: str) -> bytes:
  with tf.io.gfile.GFile(path, 'rb') as file:
    return file.read()


def _refuse(reason: str) -> bytes:
  raise ValueError(reason)


def _printable(path: str) -> str:
  """Returns a path in which what is not UTF-8 is escaped."""
  return path.encode('utf-8', 'backslashreplace').decode()
