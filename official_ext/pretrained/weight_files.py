"""Finds the file of weights that a source means, and what kind it is.

What a file is, its first bytes say. A pickle runs whatever code it carries, so
none is ever opened.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import re
import shlex
import zipfile

from official_ext.command_line import errors
from official_ext.pretrained import arrays
from official_ext.pretrained import npz_files
from official_ext.pretrained import safetensors_files

_PICKLE_ENDINGS = ('.bin', '.pth', '.pt', '.ckpt', '.pkl', '.pickle')
_READABLE = (safetensors_files.ENDING, safetensors_files.INDEX_ENDING,
             npz_files.ENDING)
_MAX_SHOWN = 4
INDEX_ENDING = safetensors_files.INDEX_ENDING
_SHARD = re.compile(r'-\d+-of-\d+\.')


def find(source: str) -> str:
  """Finds the weights in a folder.

  Args:
    source: a file of weights, or a folder that holds one.

  Returns:
    The file; of shards, their index.

  Raises:
    errors.UserError: if there is none, it is a pickle, or there are several.
  """
  if os.path.isfile(source):
    return source
  names = sorted(os.listdir(source))
  # The shards themselves are found by their index.
  shards = {name for index in names if index.endswith(INDEX_ENDING)
            for name in _shards(os.path.join(source, index))}
  return os.path.join(source, choose(
      [name for name in names if name not in shards], source))


def choose(names: Sequence[str], source: str) -> str:
  """Chooses the weights among files that stand beside each other.

  Args:
    names: of the files.
    source: where they are, for the message.

  Returns:
    The one that can be read; of shards, their index.

  Raises:
    errors.UserError: if there is none, or there are several.
  """
  indices = [name for name in names if name.endswith(INDEX_ENDING)]
  found = indices + [
      name for name in names if name.endswith(_READABLE) and
      name not in indices and not _SHARD.search(name)]
  if len(found) > 1:
    raise errors.UserError(
        f'{source} holds several files of weights: '
        f'{", ".join(found[:_MAX_SHOWN])}. Name the one that you mean: '
        f'--source={shlex.quote(os.path.join(source, found[0]))}.')
  if found:
    return found[0]
  for name in names:
    if name.endswith(_PICKLE_ENDINGS):
      raise pickle_error(os.path.join(source, name))
  raise errors.UserError(
      f'{source} holds no weights: there is no file {" or ".join(_READABLE)}, '
      'and no TensorFlow checkpoint.')


def read(path: str) -> arrays.Arrays:
  """Opens a file of weights; its values are not read yet.

  Args:
    path: of the file.

  Returns:
    Its arrays.

  Raises:
    errors.UserError: if it is none that can be read, or a pickle.
  """
  if path.endswith(safetensors_files.INDEX_ENDING):
    return safetensors_files.ShardedSafetensors(path)
  if path.endswith(_PICKLE_ENDINGS):
    raise pickle_error(path)
  with open(path, 'rb') as file:
    beginning = file.read(2)
  if beginning == b'PK':
    if _holds_pickle(path):
      raise pickle_error(path)
    return npz_files.NpzFile(path)
  if beginning[:1] == b'\x80' and not path.endswith(safetensors_files.ENDING):
    raise pickle_error(path)
  if not path.endswith(_READABLE):
    raise errors.UserError(
        f'{path} is no file of weights: give one of {", ".join(_READABLE)}, a '
        'folder that holds one, a TensorFlow checkpoint or the name of a model '
        'on the Hugging Face hub.')
  if path.endswith(npz_files.ENDING):
    return npz_files.NpzFile(path)
  return safetensors_files.SafetensorsFile(path)


def pickle_error(path: str) -> errors.UserError:
  """Returns the error that says how to convert a pickle."""
  converted = os.path.join(os.path.dirname(path), 'model.safetensors')
  return errors.UserError(
      f'{path} is a pickle, which runs code when it is opened, so it is not '
      'opened here. Where PyTorch is installed and you trust its source, '
      'convert it: python -c "import torch, safetensors.torch as s; '
      f"s.save_file(torch.load('{path}', weights_only=True), "
      f"'{converted}')\" and give that file as --source.")


def _shards(index: str) -> set[str]:
  """Returns the files that an index lists."""
  shards = arrays.read_json(index).get('weight_map')
  if not isinstance(shards, dict):
    return set()
  return {name for name in shards.values() if isinstance(name, str)}


def _holds_pickle(path: str) -> bool:
  """Whether an archive is what PyTorch saves, with a pickle inside."""
  try:
    with zipfile.ZipFile(path) as archive:
      return any(name.endswith('.pkl') for name in archive.namelist())
  except (zipfile.BadZipFile, OSError, ValueError):
    return False
