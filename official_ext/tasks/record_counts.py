"""How many records files hold.

The manifest.json that data_prep writes beside its shards says it. Else a
TFRecord says the length of each of its records: 8 bytes of length, 4 of
checksum, the record, 4 of checksum. On a disk the others are stepped over.
Remote and compressed files must be read whole: that is done once in a training,
which keeps what came of it in its folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent import futures
import dataclasses
import functools
import json
import os

from absl import logging
from official.common import dataset_fn
import tensorflow as tf

from official_ext.command_line import tables
from official_ext.tasks import shard_counts

# In the model_dir.
FILE = 'record_counts.json'
_LENGTH_BYTES = 8
_OTHER_BYTES = 16
_NUM_THREADS = 16


@dataclasses.dataclass(frozen=True)
class Counts:
  """How many records the files of a training hold.

  Attributes:
    files: the files.
    file_type: as in the data settings, 'tfrecord' or 'tfrecord_compressed'.
    numbers: the number of records of each file.
    read: of the files that were read to count them, bytes and records.
  """
  files: tuple[str, ...]
  file_type: str
  numbers: tuple[int, ...]
  read: Mapping[str, tuple[int, int]]

  def write(self, folder: str) -> None:
    """Keeps in a folder what a next start need not read again."""
    path = os.path.join(folder, FILE)
    if not self.read:
      return
    # Another worker that reads it meanwhile finds the whole of it.
    with tf.io.gfile.GFile(f'{path}.new', 'w') as file:
      file.write(json.dumps(self.read, indent=2) + '\n')
    tf.io.gfile.rename(f'{path}.new', path, overwrite=True)

  def find_other(self) -> str | None:
    """Counts anew, to find a file that holds not what it was taken to hold.

    Returns:
      What is wrong with the first such file; None if there is none.
    """
    for file, expected in zip(self.files, self.numbers, strict=True):
      try:
        found = _count(file, tf.io.gfile.stat(file).length, self.file_type)
      except ValueError as error:
        return f'task.train_data: {error}'
      if found != expected:
        by, fix = 'when the training started', ''
        known_by = (FILE if file in self.read else
                    shard_counts.MANIFEST if file in shard_counts.find([file])
                    else None)
        if known_by:
          by = f'by {known_by}'
          fix = f' If it is whole, remove {known_by} to count again.'
        return (f'task.train_data: {file} holds '
                f'{tables.counted(found, "record")}, but {by} {expected:,}. '
                f'Copy it anew, or convert the data again.{fix}')
    return None


def count(files: Sequence[str], file_type: str, folder: str = '') -> Counts:
  """Counts the records of files, unless it is known how many they are.

  Args:
    files: the files.
    file_type: as in the data settings, 'tfrecord' or 'tfrecord_compressed'.
    folder: in which an earlier start has written `FILE`; empty: there is
      none.

  Returns:
    The counts: the same on every worker, wherever they come from.

  Raises:
    tf.errors.OpError: if a file cannot be read.
    ValueError: if a manifest is damaged, or a file was cut within a record.
  """
  kept = _read(folder) if folder else {}
  with futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    sizes = dict(zip(files, pool.map(
        lambda file: tf.io.gfile.stat(file).length, files), strict=True))
    known = {
        file: shard['num_images']
        for file, shard in shard_counts.find(files).items()
        if sizes.get(file) == shard['num_bytes']}
    to_read = {file for file in files
               if file not in known and not _has_lengths(file, file_type)}
    missing = {file for file in to_read
               if kept.get(file, (None,))[0] != sizes[file]}
    if missing:
      logging.warning(
          'task.train_data: %s (%.3g GB) without a %s beside them are read '
          'once to count their records',
          tables.counted(len(missing), 'remote or compressed file'),
          sum(sizes[file] for file in missing) / 1e9, shard_counts.MANIFEST)
    known |= {file: kept[file][1] for file in to_read - missing}
    numbers = list(pool.map(
        lambda file: known[file] if file in known else _count_once(
            file, sizes[file], file_type), files))
  return Counts(
      tuple(files), file_type, tuple(numbers),
      {file: (sizes[file], number)
       for file, number in zip(files, numbers, strict=True)
       if file in to_read})


def count_quickly(files: Sequence[str], file_type: str) -> int | None:
  """Counts the records of files, unless they must be read for that.

  Args:
    files: the files.
    file_type: as in `count`.

  Returns:
    How many they hold together; None if that is not known at once.

  Raises:
    ValueError: as `count`.
  """
  known = shard_counts.find(files)
  numbers = {file: known[file]['num_images'] for file in files if file in known}
  numbers |= count_unlisted(files, file_type)
  return sum(numbers.values()) if len(numbers) == len(files) else None


def count_unlisted(files: Sequence[str], file_type: str) -> dict[str, int]:
  """Counts the records of files on a disk that no manifest names.

  Args:
    files: the files.
    file_type: as in `count`.

  Returns:
    How many each of them holds.

  Raises:
    ValueError: as `count`.
  """
  known = shard_counts.find(files)
  unlisted = [file for file in files
              if file not in known and _has_lengths(file, file_type)]
  with futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    return dict(zip(unlisted, pool.map(
        lambda file: _count_once(file, os.path.getsize(file), file_type),
        unlisted), strict=True))


def explain(error: Exception) -> str | None:
  """Says what it means that a file has another number of records.

  Args:
    error: an error of a training step.

  Returns:
    The message, or None if it was another error.
  """
  if (isinstance(error, tf.errors.FailedPreconditionError) and
      'dataset was expected to contain' in str(error)):
    return ('a file of task.train_data holds another number of records than at '
            'the start of the training. Start it again once the data are '
            'complete.')
  return None


def _has_lengths(file: str, file_type: str) -> bool:
  """Says whether the lengths of the records can be read without the records."""
  return file_type == 'tfrecord' and os.path.exists(file)


def _count(file: str, num_bytes: int, file_type: str) -> int:
  """Counts the records of a file."""
  if _has_lengths(file, file_type):
    return _count_lengths(file, num_bytes)
  opened = dataset_fn.pick_dataset_fn(file_type)(file)
  return int(opened.reduce(tf.constant(0, tf.int64), lambda n, _: n + 1))


# A file that has grown is counted anew.
_count_once = functools.cache(_count)


def _count_lengths(file: str, num_bytes: int) -> int:
  """Steps from record to record up to the end, which must be one's end."""
  number = position = 0
  with open(file, 'rb', buffering=0) as opened:
    while position < num_bytes:
      length = os.pread(opened.fileno(), _LENGTH_BYTES, position)
      position += int.from_bytes(length, 'little') + _OTHER_BYTES
      number += 1
  if position != num_bytes:
    raise ValueError(
        f'{file} ends within record {number - 1}: it was cut, or holds no '
        'TFRecords. Copy it anew, or convert the data again.')
  return number


def _read(folder: str) -> dict[str, tuple[int, int]]:
  """Returns what an earlier start has kept; nothing if it cannot be read."""
  try:
    with tf.io.gfile.GFile(os.path.join(folder, FILE)) as file:
      found = json.loads(file.read())
    return {path: (int(num_bytes), int(number))
            for path, (num_bytes, number) in found.items()}
  except (tf.errors.OpError, ValueError, TypeError, AttributeError):
    return {}
