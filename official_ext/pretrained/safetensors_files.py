"""Safetensors, in one file or in shards that an index lists."""

from __future__ import annotations

import os

import numpy as np

from official_ext.command_line import errors
from official_ext.pretrained import arrays

ENDING = '.safetensors'
INDEX_ENDING = '.safetensors.index.json'

_TYPES = {
    'F64': 'float64', 'F32': 'float32', 'F16': 'float16', 'BF16': 'bfloat16'}
# Stands where git did not fetch the file itself.
_LFS_POINTER = b'version https://git-lfs'


class SafetensorsFile(arrays.Arrays):
  """One file."""

  def __init__(self, path: str):
    """Reads what the file holds, and none of its values.

    Args:
      path: of the file.

    Raises:
      errors.UserError: if it is no safetensors file, or not a whole one.
    """
    self.path = path
    self._file = _open(path)
    self.stored = {}
    for name in self._file.keys():
      entry = self._file.get_slice(name)
      self.stored[name] = arrays.Stored(
          tuple(entry.get_shape()),
          _TYPES.get(entry.get_dtype(), entry.get_dtype()))

  def _read(self, name: str, rows: slice | None) -> np.ndarray:
    if rows is None:
      return self._file.get_tensor(name)
    return self._file.get_slice(name)[rows]


class ShardedSafetensors(arrays.Arrays):
  """Several files, each array in the one that the index says."""

  def __init__(self, path: str):
    """Reads what the files hold, and none of their values.

    Args:
      path: of the index.

    Raises:
      errors.UserError: if the index is not one, names a file outside its
        folder, or does not say what the files hold.
    """
    self.path = path
    shard_of = arrays.read_json(path).get('weight_map')
    if not isinstance(shard_of, dict) or not shard_of or not all(
        isinstance(name, str) for name in shard_of.values()):
      raise errors.UserError(
          f'{path} has no weight_map of tensors and their files. Get the file '
          'anew.')
    folder = os.path.dirname(path)
    self._shards = {}
    for name in sorted(set(shard_of.values())):
      if os.path.basename(name) != name or not name.endswith(ENDING):
        raise errors.UserError(
            f'{path} names the shard {name!r}, but shards are {ENDING} files '
            'in the folder of the index. Do not trust this index.')
      shard = os.path.join(folder, name)
      if not os.path.isfile(shard):
        raise errors.UserError(
            f'{path} names {name}, which is not beside it. Get that file too.')
      self._shards[name] = SafetensorsFile(shard)
    self._shard_of = dict(shard_of)
    self.stored = {}
    for name, shard in shard_of.items():
      if name not in self._shards[shard].stored:
        raise errors.UserError(
            f'{path} says that {name} is in {shard}, but it is not. Get index '
            'and shards of one version.')
      self.stored[name] = self._shards[shard].stored[name]
    for shard, file in self._shards.items():
      unlisted = sorted(
          name for name in file.stored if shard_of.get(name) != shard)
      if unlisted:
        raise errors.UserError(
            f'{shard} holds {unlisted[0]}, which {path} does not list for it. '
            'Get index and shards of one version.')

  def _read(self, name: str, rows: slice | None) -> np.ndarray:
    return self._shards[self._shard_of[name]]._read(name, rows)  # pylint: disable=protected-access


def _open(path: str):
  """Opens a file with the library, and explains what it raises."""
  # Not every command of the project needs the extra.
  try:
    import safetensors  # pylint: disable=g-import-not-at-top
  except ImportError as error:
    raise errors.UserError(
        f'{path} needs the library safetensors: '
        "pip install -e '.[pretrained]'.") from error
  with open(path, 'rb') as file:
    beginning = file.read(len(_LFS_POINTER))
  if beginning == _LFS_POINTER:
    raise errors.UserError(
        f'{path} is a pointer of git-lfs, not the weights. Fetch them: '
        'git lfs pull.')
  try:
    # Mapped into memory, what was read would stay there.
    return safetensors.safe_open(path, 'numpy', backend='pread')
  except (safetensors.SafetensorError, OSError, ValueError) as error:
    raise errors.UserError(
        f'{path} is no whole safetensors file of {os.path.getsize(path)} '
        f'bytes: {errors.reason(error)}. Get the file anew.') from error
