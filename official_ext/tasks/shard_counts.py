"""Compares shards with what is known of them: nothing is lost without a word.

A shard that is empty, or was cut between two records, reads like any other. The
manifest.json that data_prep writes beside the shards says how long each is and
how many records it holds; where every record was read, they were counted. Which
shards there are, their own names say too: `train-00000-of-00002`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import itertools
import json
import os
import re
from typing import Any

from absl import logging
import tensorflow as tf

from official_ext.command_line import tables
from official_ext.configs import image_classification as configs
from official_ext.params import derive
from official_ext.params import input_files

MANIFEST = 'manifest.json'
_FIX = 'Copy it anew, or convert the data again.'
_SHARD = re.compile(
    r'(?P<start>.*)-(?P<number>\d+)-of-(?P<total>\d+)(?P<end>(\D.*)?)')


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
  known = find(files)
  numbers = dict(counted)
  for file in files:
    if file in known:
      _check_shard(file, known[file], counted, where)
      numbers[file] = known[file]['num_images']
  _check_set(files, known, where, _is_whole(task, name))
  data = getattr(task, name)
  if follows_epochs and data.is_training and len(numbers) == len(files):
    total = sum(numbers.values())
    if data.num_examples != total:
      raise ValueError(
          f'{where}.num_examples is {data.num_examples}, from which the steps '
          f'follow, but its files hold {tables.counted(total, "image")}. If '
          f'that is all, set {where}.num_examples={total}; else complete the '
          'data.')


def check_files(files: Sequence[str], where: str) -> None:
  """Compares shards that a person named with the manifests beside them.

  Those that are left out are told.

  Args:
    files: the shards.
    where: what they are called in a message.

  Raises:
    ValueError: if one of them was cut or changed, naming it.
  """
  known = find(files)
  for file in files:
    if file in known:
      _check_shard(file, known[file], {}, where)
  _check_set(files, known, where, is_whole=False)


def find(files: Sequence[str]) -> dict[str, Mapping[str, Any]]:
  """Finds the shards that the manifests beside some files name.

  Args:
    files: the files.

  Returns:
    The `num_bytes` and `num_images` of each such shard, whether it is there or
    not, by its path.

  Raises:
    ValueError: if a manifest is damaged.
  """
  known = {}
  for folder in sorted({os.path.dirname(file) for file in files}):
    manifest = _read(os.path.join(folder, MANIFEST))
    known |= {os.path.join(folder, shard['name']): shard
              for split in manifest.values() for shard in split['shards']}
  return known


def _check_set(files: Sequence[str], known: Mapping[str, Any], where: str,
               is_whole: bool) -> None:
  """Looks for shards that are missing, or of another conversion.

  Args:
    files: the shards.
    known: what manifests name.
    where: what the data set is called in a message.
    is_whole: whether all of a data set is meant; some shards of it that a
      person named may leave out others, which is said.
  """
  files = sorted(files)
  splits = set(map(_split_of, files)) & set(map(_split_of, known))
  foreign = [file for file in files if file not in known and
             _split_of(file) in splits]
  if foreign and is_whole:
    raise ValueError(
        f'{where}: {foreign[0]} is not among the shards that the {MANIFEST} '
        'beside it names: one of them is of another conversion. Remove the '
        f'shard, or the {MANIFEST}, or name the shards that are meant as '
        f'{where}.input_path.')
  # Without a manifest their names must be of one kind.
  foreign = _of_other_sets(files)
  if foreign and is_whole:
    raise ValueError(
        f'{where}: {foreign[0]} is not of the same conversion as the shards '
        'beside it, and its images may be theirs once more. Remove it, or '
        f'name those that are meant as {where}.input_path.')
  missing = sorted(file for file in known if _split_of(file) in splits and
                   file not in files)
  by = f'which {MANIFEST} beside it names'
  if not missing:
    missing, by = _missing_by_name(files), 'by the names of those beside it'
  if missing and is_whole:
    raise ValueError(
        f'{where}: {missing[0]} is missing, {by}. {_FIX} Name the others as '
        f'{where}.input_path to go without it.')
  if missing:
    logging.warning('%s: not all shards are there or named, %s is not', where,
                    missing[0])


def _missing_by_name(files: Sequence[str]) -> list[str]:
  """Returns the first of each set of shards that its others leave out."""
  missing = []
  for (start, total, end), numbers in _sets(files).items():
    if len(numbers) < int(total):
      first = next(number for number in itertools.count()
                   if number not in numbers)
      missing.append(f'{start}-{first:0{len(total)}d}-of-{total}{end}')
  return sorted(missing)


def _of_other_sets(files: Sequence[str]) -> list[str]:
  """Returns the shards of any but the first set of one beginning."""
  first = {}
  for start, *rest in _sets(files):
    first.setdefault(start, rest)
  return [file for file in files if (match := _SHARD.fullmatch(file)) and
          [match['total'], match['end']] != first[match['start']]]


def _sets(files: Sequence[str]) -> dict[tuple[str, str, str], set[int]]:
  """Returns the numbers of shards that are there, by the rest of the name."""
  sets = {}
  for file in files:
    if match := _SHARD.fullmatch(file):
      sets.setdefault((match['start'], match['total'], match['end']),
                      set()).add(int(match['number']))
  return sets


def _check_shard(file: str, shard: Mapping[str, Any],
                 counted: Mapping[str, int], where: str) -> None:
  num_bytes = tf.io.gfile.stat(file).length
  if num_bytes != shard['num_bytes']:
    raise ValueError(
        f'{where}: {file} has {num_bytes:,} bytes, but by the {MANIFEST} '
        f'beside it {shard["num_bytes"]:,}: it was cut or changed. {_FIX}')
  num_images = counted.get(file, shard['num_images'])
  if num_images != shard['num_images']:
    raise ValueError(
        f'{where}: {file} holds {tables.counted(num_images, "record")}, but by '
        f'the {MANIFEST} beside it {shard["num_images"]:,}. {_FIX}')


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
