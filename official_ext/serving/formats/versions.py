"""Folders of numbered versions, in which one appears whole or not at all.

TensorFlow Serving loads the subfolders of a base folder whose names are
numbers. So a version is written under another name, and renamed. A store of
objects has no folders to rename: there, saved_model.pb, without which nothing
is loaded, comes last.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import re
import socket

import tensorflow as tf

_PREFIX = '.unfinished'
_UNFINISHED = re.compile(rf'\{_PREFIX}-(?P<host>.+)-(?P<process>\d+)')
MODEL_FILE = 'saved_model.pb'


def numbers(base: str) -> list[int]:
  """Lists the versions in a folder, the newest first."""
  if not tf.io.gfile.isdir(base):
    return []
  names = [name.rstrip('/') for name in tf.io.gfile.listdir(base)]
  return sorted((int(name) for name in names if name.isdecimal()),
                reverse=True)


@contextlib.contextmanager
def unfinished(base: str) -> Iterator[str]:
  """Gives a folder for a version that is being written.

  Args:
    base: folder of the versions; made if missing.

  Yields:
    Path of a folder below `base`, which is deleted at the end if `publish` has
    not renamed it. What killed processes of this machine left is deleted too.
  """
  tf.io.gfile.makedirs(base)
  _delete_abandoned(base)
  path = os.path.join(
      base, f'{_PREFIX}-{socket.gethostname()}-{os.getpid()}')
  if tf.io.gfile.exists(path):
    tf.io.gfile.rmtree(path)
  try:
    yield path
  finally:
    if tf.io.gfile.exists(path):
      tf.io.gfile.rmtree(path)


def publish(path: str, base: str, version: int | None) -> str:
  """Makes a version of a folder that is written.

  Args:
    path: the folder, below `base`.
    base: folder of the versions.
    version: its number; None: one more than the largest.

  Returns:
    The folder of the version.

  Raises:
    ValueError: if there is such a version.
  """
  while True:
    number = version or max(numbers(base), default=0) + 1
    final = os.path.join(base, str(number))
    check_free(base, version)
    try:
      _rename(path, final)
      return final
    except tf.errors.OpError:
      # Another export took the number in between.
      if not tf.io.gfile.exists(final):
        raise


def check_free(base: str, version: int | None) -> None:
  """Refuses a version that is there.

  Args:
    base: folder of the versions.
    version: the number; None is always free.

  Raises:
    ValueError: if it is there.
  """
  if version in numbers(base):
    raise ValueError(
        f'--version={version}: {base} has that version, which a server may '
        'have loaded. Choose another, or leave --version out for the next one.')


def _rename(path: str, final: str) -> None:
  if '://' not in path:
    tf.io.gfile.rename(path, final)
    return
  files = [os.path.join(folder, name)
           for folder, _, names in tf.io.gfile.walk(path) for name in names]
  files.sort(key=lambda name: os.path.basename(name) == MODEL_FILE)
  for name in files:
    target = final + name.removeprefix(path)
    tf.io.gfile.makedirs(os.path.dirname(target))
    tf.io.gfile.rename(name, target, overwrite=False)


def _delete_abandoned(base: str) -> None:
  """Deletes what processes of this machine left that are gone."""
  for name in tf.io.gfile.listdir(base):
    match = _UNFINISHED.fullmatch(name.rstrip('/'))
    if match and match['host'] == socket.gethostname() and (
        not _is_alive(int(match['process']))):
      tf.io.gfile.rmtree(os.path.join(base, name))


def _is_alive(process: int) -> bool:
  try:
    os.kill(process, 0)
  except ProcessLookupError:
    return False
  except PermissionError:
    pass
  return True
