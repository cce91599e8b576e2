"""The .npz files of google-research/vision_transformer and big_vision."""

from __future__ import annotations

import zipfile
import zlib

import numpy as np
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.pretrained import arrays

ENDING = '.npz'
_MEMBER_ENDING = '.npy'
_DAMAGE = (ValueError, OSError, EOFError, KeyError, NotImplementedError,
           zipfile.BadZipFile, zlib.error, RuntimeError, SyntaxError)


class NpzFile(arrays.Arrays):
  """One .npz file."""

  def __init__(self, path: str):
    """Reads what the file holds, and none of its values.

    Args:
      path: of the file.

    Raises:
      errors.UserError: if it is no .npz file, not a whole one, or holds
        pickled objects.
    """
    self.path = path
    self.stored = {}
    # Layers that are stacked in one array are asked for one after the other.
    self._latest: tuple[str, np.ndarray] | None = None
    try:
      self._archive = zipfile.ZipFile(path)
      for member in self._archive.namelist():
        if member.endswith(_MEMBER_ENDING):
          name = member.removesuffix(_MEMBER_ENDING)
          self.stored[name] = self._header(member)
    except _DAMAGE as error:
      raise errors.UserError(
          f'{path} is no whole .npz file: {errors.reason(error)}. Get the file '
          'anew.') from error

  def _header(self, member: str) -> arrays.Stored:
    """Reads the beginning of an array, which says its shape and type."""
    with self._archive.open(member) as file:
      version = np.lib.format.read_magic(file)
      read = (np.lib.format.read_array_header_1_0 if version == (1, 0)
              else np.lib.format.read_array_header_2_0)
      shape, _, dtype = read(file)
    return arrays.Stored(shape, 'bfloat16' if _is_bfloat16(dtype)
                         else dtype.name)

  def _read(self, name: str, rows: slice | None) -> np.ndarray:
    if self._latest is None or self._latest[0] != name:
      self._latest = name, self._whole(name)
    value = self._latest[1]
    return value if rows is None else value[rows]

  def _whole(self, name: str) -> np.ndarray:
    """Reads an array, and checks it by the sum that the archive has."""
    try:
      with self._archive.open(name + _MEMBER_ENDING) as file:
        # To the end, where the archive checks its sum.
        value = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
          raise ValueError('more follows than its header says')
    except (*_DAMAGE, MemoryError) as error:
      raise errors.UserError(
          f'{self.path}: {name} cannot be read: {errors.reason(error)}. Get '
          'the file anew.') from error
    if _is_bfloat16(value.dtype):
      return value.view(tf.bfloat16.as_numpy_dtype)
    return value


def _is_bfloat16(dtype: np.dtype) -> bool:
  """NumPy has no bfloat16, and saves it as two bytes without a meaning."""
  return dtype.kind == 'V' and dtype.itemsize == 2
