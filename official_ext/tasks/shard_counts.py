"""Compares shards with what is known of them: nothing is lost without a word.

A shard that is empty, or was cut between two records, reads like any other. The
manifest.json that data_prep writes beside the shards says how long each is and
how many records it holds; where every record was read, they were counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import json
import os
from typing import Any

import tensorflow as tf

from official_ext.configs import image_classification as configs
from official_ext.params import derive
from official_ext.params import input_files

_MANIFEST = 'manifest.json'
_FIX = 'Copy it anew, or convert the data again.'


def check(task: configs.ImageClassificationTask, name: str,
          files: Sequence[str], counted: Mapping[str, int],
          follows_epochs: bool) -> None:
  """Compares the shards of a data set with manifests and settings.

  Args:
    task: the task's configuration, resolved.
    name: of the data set, 'train_data' or 'validation_data'.
    files: its shards.
    counted: the number of records of those that were read whole.
    follows_epochs: whether steps follow from the number of training images.

  Raises:
    ValueError: naming the shard, what was expected and what was found.
  """
  where = f'task.{name}'
  known = {}
  for folder in sorted({os.path.dirname(file) for file in files}):
    manifest = _read(os.path.join(folder, _MANIFEST))
    known |= {os.path.join(folder, shard['name']): shard
              for split in manifest.values() for shard in split['shards']}
  numbers = dict(counted)
  for file in files:
    if file in known:
      _check_shard(file, known[file], counted, where)
      numbers[file] = known[file]['num_images']
  if _is_whole(task, name):
    splits = {_split_of(file) for file in files if file in known}
    missing = sorted(file for file in known if _split_of(file) in splits and
                     file not in files)
    if missing:
      raise ValueError(
          f'{where}: {missing[0]} is missing, which {_MANIFEST} beside it '
          f'names. {_FIX} Name the others as {where}.input_path to go without '
          'it.')
  data = getattr(task, name)
  if follows_epochs and data.is_training and len(numbers) == len(files):
    total = sum(numbers.values())
    if data.num_examples != total:
      raise ValueError(
          f'{where}.num_examples is {data.num_examples}, from which the steps '
          f'follow, but its files hold {total} images. If that is all, set '
          f'{where}.num_examples={total}; else complete the data.')


def _check_shard(file: str, shard: Mapping[str, Any],
                 counted: Mapping[str, int], where: str) -> None:
  num_bytes = tf.io.gfile.stat(file).length
  if num_bytes != shard['num_bytes']:
    raise ValueError(
        f'{where}: {file} has {num_bytes:,} bytes, but by the {_MANIFEST} '
        f'beside it {shard["num_bytes"]:,}: it was cut or changed. {_FIX}')
  num_images = counted.get(file, shard['num_images'])
  if num_images != shard['num_images']:
    raise ValueError(
        f'{where}: {file} holds {num_images:,} records, but by the {_MANIFEST} '
        f'beside it {shard["num_images"]:,}. {_FIX}')


def _is_whole(task: configs.ImageClassificationTask, name: str) -> bool:
  """Says whether a whole split is meant, not shards that a person named."""
  return bool(task.data_dir) and getattr(
      task, name).input_path == input_files.in_folder(
          task.data_dir, derive.PATTERNS[name])


def _split_of(file: str) -> str:
  return os.path.basename(file).partition('-')[0]


def _read(path: str) -> dict[str, Any]:
  """Returns the splits of a manifest; none if there is no such file."""
  if not tf.io.gfile.exists(path):
    return {}
  try:
    with tf.io.gfile.GFile(path) as file:
      splits = json.loads(file.read())['splits']
    for split in splits.values():
      for shard in split['shards']:
        _ = shard['name'], int(shard['num_bytes']), int(shard['num_images'])
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
        f'{path} is damaged ({error!r}). Convert the data again, or remove it '
        'to train without a comparison.') from error
  return splits
