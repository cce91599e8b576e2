"""How many records files hold.

A TFRecord says the length of each of its records: 8 bytes of length, 4 of
checksum, the record, 4 of checksum. On a disk the others are stepped over.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent import futures
import functools
import os

from official.common import dataset_fn
import tensorflow as tf

_LENGTH_BYTES = 8
_OTHER_BYTES = 16
_NUM_THREADS = 16


def count(files: Sequence[str], file_type: str) -> list[int]:
  """Counts the records of files.

  Args:
    files: the files.
    file_type: as in the data settings, 'tfrecord' or 'tfrecord_compressed'.

  Returns:
    The number of records of each.

  Raises:
    tf.errors.OpError: if one cannot be read.
  """
  with futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    return list(pool.map(lambda file: _count(
        file, tf.io.gfile.stat(file).length, file_type), files))


@functools.cache
def _count(file: str, num_bytes: int, file_type: str) -> int:
  """Counts the records of a file; of one that has grown anew."""
  if file_type == 'tfrecord' and os.path.exists(file):
    return _count_lengths(file, num_bytes)
  opened = dataset_fn.pick_dataset_fn(file_type)(file)
  return int(opened.reduce(tf.constant(0, tf.int64), lambda n, _: n + 1))


def _count_lengths(file: str, num_bytes: int) -> int:
  number = position = 0
  with open(file, 'rb', buffering=0) as opened:
    while position < num_bytes:
      length = os.pread(opened.fileno(), _LENGTH_BYTES, position)
      position += int.from_bytes(length, 'little') + _OTHER_BYTES
      number += 1
  return number
