"""The folders that a start makes, and takes back where it is refused."""

from __future__ import annotations

import contextlib
import os

import tensorflow as tf

from official_ext.command_line import errors


class NewFolders:
  """Makes folders; those that are still empty go where its block raises.

  So they are tried before anything expensive, and no refused start is taken for
  a training. It may be entered again, with the work that the folders are for.
  Stores such as gs:// have no folders.
  """

  def __init__(self):
    self._made: list[str] = []

  def __enter__(self) -> NewFolders:
    return self

  def __exit__(self, kind, *_) -> None:
    if kind is None:
      return
    for path in self._made:
      # What somebody else wrote there stays.
      with contextlib.suppress(OSError):
        os.rmdir(path)

  def make(self, name: str, path: str) -> None:
    """Makes a folder, and those above it that are missing.

    Args:
      name: what it was given as, such as '--model_dir'.
      path: of the folder, which may exist.

    Raises:
      ValueError: if it cannot be made.
    """
    missing, above = [], path.rstrip('/')
    while above and '://' not in path and not os.path.lexists(above):
      missing.append(above)
      above = os.path.dirname(above)
    self._made[:0] = missing
    try:
      tf.io.gfile.makedirs(path)
    except tf.errors.OpError as error:
      raise ValueError(
          f'{name}={path} cannot be made: {errors.reason(error)}. Choose a '
          'folder that can be written.') from error
