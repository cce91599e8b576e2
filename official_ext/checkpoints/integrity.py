"""Whether a checkpoint is whole: its index and its data are read and checked.

TensorFlow writes a checksum (CRC32C) with every block of the index and with
every tensor, and compares it whenever it reads one. Reading all of them, one
at a time, takes about 0.5 s for 1 GB in the page cache of a CPU.
"""

from __future__ import annotations

import functools
import hashlib
import os

import tensorflow as tf

from official_ext.command_line import errors

# At the end of the keys of variables, whose names are what comes before.
_VALUE = '/.ATTRIBUTES/VARIABLE_VALUE'
# What TensorFlow's reader raises on damaged files, depending on the damage.
READ_ERRORS = (tf.errors.OpError, IndexError, RuntimeError, ValueError)


def damage(prefix: str) -> str | None:
  """Says what is damaged of a checkpoint.

  Files that have not changed since they were read last are not read again.

  Args:
    prefix: of the checkpoint, such as 'model_dir/ckpt-100'.

  Returns:
    What is wrong, to follow the words 'is damaged:'; None if it is whole.

  Raises:
    errors.UserError: if a file cannot be opened, which says nothing about what
      is in it.
  """
  state = _state(prefix)
  return _index_damage(prefix, state) or _data_damage(prefix, state)


def index_damage(prefix: str) -> str | None:
  """Says what is wrong with the index, which is written last of a checkpoint.

  Args:
    prefix: of the checkpoint.

  Returns:
    What is wrong; None if it can be read to its end.

  Raises:
    errors.UserError: if it cannot be opened.
  """
  return _index_damage(prefix, _state(prefix))


def files(prefix: str) -> list[str]:
  """Returns the paths of the files of a checkpoint that are there."""
  index = f'{prefix}.index'
  return [*([index] if tf.io.gfile.exists(index) else []),
          *sorted(tf.io.gfile.glob(f'{prefix}.data-?????-of-?????'))]


def fingerprint(prefix: str) -> str | None:
  """Returns what tells a checkpoint from any of other values.

  Args:
    prefix: of the checkpoint.

  Returns:
    The SHA-256 of its index, which holds a checksum of every tensor; None if
    there is no such file.
  """
  try:
    with tf.io.gfile.GFile(f'{prefix}.index', 'rb') as file:
      return hashlib.sha256(file.read()).hexdigest()
  except tf.errors.NotFoundError:
    return None


def _state(prefix: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
  """Returns what tells of a change of the files: sizes, times and the like."""
  states = []
  for path in files(prefix):
    if tf.io.gfile.isdir(path):
      continue
    try:
      # Reading tells what may not be read from what is damaged.
      with tf.io.gfile.GFile(path, 'rb') as file:
        file.read(1)
      states.append((path, _status(path)))
    except (FileNotFoundError, tf.errors.NotFoundError):
      continue  # Deleted in between.
    except (OSError, tf.errors.OpError) as error:
      raise errors.UserError(
          f'{path} cannot be read: {errors.reason(error)}.') from error
  return tuple(states)


def _status(path: str) -> tuple[int, ...]:
  if os.path.exists(path):
    # TensorFlow tells the time of a local file in whole seconds.
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
  found = tf.io.gfile.stat(path)
  return found.length, found.mtime_nsec


@functools.lru_cache(maxsize=1024)
def _index_damage(prefix: str, state: tuple[tuple[str, tuple[int, ...]], ...]
                  ) -> str | None:
  if f'{prefix}.index' not in dict(state):
    return _missing('its index is', f'{prefix}.index')
  try:
    tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
  except READ_ERRORS as error:
    return f'its index cannot be read ({errors.reason(error)})'
  return None


def _missing(what: str, path: str) -> str:
  return f'{what} {"a folder" if tf.io.gfile.isdir(path) else "missing"}'


@functools.lru_cache(maxsize=1024)
def _data_damage(prefix: str, state: tuple[tuple[str, tuple[int, ...]], ...]
                 ) -> str | None:
  if len(state) == 1:
    return _missing('its data are', f'{prefix}.data-00000-of-00001')
  key = None
  try:
    reader = tf.train.load_checkpoint(prefix)
    for key in sorted(reader.get_variable_to_shape_map()):
      reader.get_tensor(key)
  except READ_ERRORS as error:
    name = key and key.removesuffix(_VALUE)
    return f'{name} cannot be read ({errors.reason(error)})'
  return None
