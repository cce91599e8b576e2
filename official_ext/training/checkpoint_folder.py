"""The folder that checkpoints are written to, watched while a training runs.

TensorFlow makes a folder that is missing, and so would write on where nobody
looks; and it notices a full disk when half of a checkpoint is written.
"""

from __future__ import annotations

import errno
import os
import re
import shutil

import tensorflow as tf

from official_ext.checkpoints import choose
from official_ext.checkpoints import integrity
from official_ext.command_line import errors

# What the operating system says, in the words that TensorFlow passes on.
_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))
_READ_ONLY = os.strerror(errno.EROFS)
_DENIED = os.strerror(errno.EACCES)
_NO_FOLDER = os.strerror(errno.ENOTDIR)
_STALE = os.strerror(errno.ESTALE)
_INPUT_OUTPUT = os.strerror(errno.EIO)
_GONE = os.strerror(errno.ENOENT)
_IMMUTABLE = os.strerror(errno.EPERM)
_MIB = 2 ** 20


class CheckpointFolder:
  """The folder as it was at the start of a training."""

  def __init__(self, path: str):
    """Remembers which folder it is.

    Args:
      path: of the folder, which exists.
    """
    self.path = path
    self._identity = _identity(path)

  def check_same(self) -> None:
    """Finds out that the folder was removed, or replaced by another.

    On a store of objects, which knows no folders, nothing is found.

    Raises:
      errors.UserError: if it was.
    """
    identity = _identity(self.path)
    if identity != self._identity:
      raise errors.UserError(
          f'{self.path} was {"replaced" if identity else "removed"} while the '
          'training ran, which stops: there is nothing left to go on from but '
          'what may be in a copy. Put the folder back, and the same command '
          'goes on from its newest checkpoint.')

  def check_space(self, num_bytes: int, what: str) -> None:
    """Finds out that a disk has no room left.

    Args:
      num_bytes: that will be written.
      what: they are, such as 'the checkpoint of step 100'.

    Raises:
      errors.UserError: if fewer are free.
    """
    free = free_bytes(self.path)
    if free is not None and free < num_bytes:
      raise errors.UserError(
          f'{self.path} has {_mib(free)} free, but {what} takes about '
          f'{_mib(num_bytes)}. {_what_is_left(self.path)}')


def free_bytes(path: str) -> int | None:
  """Returns what is free for a path; None where that is not known."""
  try:
    return shutil.disk_usage(path).free
  except OSError:  # Such as gs://.
    return None


def is_read_only(path: str) -> bool:
  """Returns whether a folder of a disk is one that this user may not write."""
  return os.path.isdir(path) and not os.access(path, os.W_OK)


def size_of(prefix: str) -> int:
  """Returns the bytes of the files of a checkpoint."""
  return sum(tf.io.gfile.stat(path).length for path in integrity.files(prefix))


def size_of_variables(checkpoint: tf.train.Checkpoint) -> int:
  """Returns the bytes of the variables that a checkpoint would hold.

  Optimizers that make their slots in the first step lack these before it.

  Args:
    checkpoint: of the trainer.

  Returns:
    The bytes, at least.
  """
  return sum(
      one.shape.num_elements() * one.dtype.size
      for one in tf.train.TrackableView(checkpoint).descendants()
      if isinstance(one, tf.Variable))


def explain(error: BaseException, path: str) -> str | None:
  """Says what an error of writing means for a training.

  Args:
    error: of the operating system or of TensorFlow.
    path: the folder of the training.

  Returns:
    A message; None if the error has another cause.
  """
  text, reason = f'{errors.message(error)} {error}', errors.reason(error)
  if any(words in text for words in _FULL):
    return f'the disk of {path} is full: {reason}. {_what_is_left(path)}'
  if _is_local(path) and not os.path.isdir(path):
    return f'{path} was removed while the training ran, which stops: {reason}.'
  if path not in text:
    return None
  if _GONE in text:
    folder = _missing_folder(text, path)
    what = (f'{folder} was removed' if folder else
            f'{path} was replaced, or files in it were removed,')
    return f'{what} while it was in use: {reason}. {_what_is_left(path, "")}'
  if any(words in text for words in (
      _READ_ONLY, _DENIED, _IMMUTABLE, _NO_FOLDER, _STALE, _INPUT_OUTPUT)):
    return (f'{path} cannot be written: {reason}. '
            f'{_what_is_left(path, "Once it can be")}')
  return None


def _what_is_left(path: str, once: str = 'With more space') -> str:
  """Says which checkpoint a training goes on from."""
  try:
    newest = choose.newest(path)
  except (ValueError, OSError, tf.errors.OpError):
    newest = None
  start = f'{once}, the' if once else 'The'
  if newest:
    return f'{start} same command goes on from {newest}, which is whole.'
  return f'{start} same command begins at step 0: no checkpoint is there.'


def _missing_folder(text: str, path: str) -> str | None:
  """Returns the folder below `path` that a path in the text would lie in.

  Args:
    text: of an error.
    path: the folder of the training, which may be there.

  Returns:
    The first that is missing; None if none is.
  """
  found = re.search(rf"{re.escape(path)}/([^\s;:'\"]+)", text)
  folder = path
  for name in found[1].split('/')[:-1] if found else ():
    folder = f'{folder}/{name}'
    if not tf.io.gfile.isdir(folder):
      return folder
  return None


def _identity(path: str) -> tuple[int, int] | None:
  """Returns what tells a folder of a disk from others; None if it is none."""
  try:
    found = os.stat(path)
  except OSError:
    return None
  return found.st_dev, found.st_ino


def _is_local(path: str) -> bool:
  return '://' not in path


def _mib(num_bytes: int) -> str:
  return f'{num_bytes / _MIB:,.1f} MiB'
