"""Trains without a few records that are corrupt, if it is told to.

A training with `task.train_data.max_corrupt_records` reads and decodes all its
records once, before it starts, and writes into the model_dir which of them are
bad. Where one is, the record before it in its file is read a second time: an
epoch keeps its length, and every other record its place in the order. Nothing
of the data is changed: it trains on copies of the files that hold bad records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
import dataclasses
import json
import os
import struct
import tempfile

from absl import logging
from google.protobuf import message
import google_crc32c
import tensorflow as tf

from official_ext.command_line import tables
from official_ext.configs import image_classification as configs
from official_ext.params import input_files
from official_ext.tasks import preflight

# In the model_dir.
FILE = 'corrupt_records.json'
_WHERE = 'task.train_data'
# Of a record: the length and its checksum, the record, and its checksum.
_HEAD = struct.Struct('<Q4s')
_CHECKSUM_BYTES = 4
_MASK = 0xa282ead8


@dataclasses.dataclass(frozen=True)
class CorruptRecord:
  """A record that cannot be trained on.

  Attributes:
    file: that holds it.
    record: its number in the file, from 0.
    reason: what is wrong with it.
  """
  file: str
  record: int
  reason: str


@dataclasses.dataclass(frozen=True)
class Checked:
  """What came of reading a data set.

  Attributes:
    num_bytes: of all files together, by which they are known again.
    num_records: of all files together.
    corrupt: those that are bad.
  """
  num_bytes: int
  num_records: int
  corrupt: tuple[CorruptRecord, ...]

  def write(self, folder: str) -> None:
    """Writes it into the model_dir, for people and for the next start."""
    with tf.io.gfile.GFile(os.path.join(folder, FILE), 'w') as file:
      file.write(json.dumps(dataclasses.asdict(self), indent=2) + '\n')

  def __str__(self) -> str:
    return (f'{len(self.corrupt)} of '
            f'{tables.counted(self.num_records, "training record")} left out')


def check(task: configs.ImageClassificationTask, model_dir: str) -> Checked:
  """Reads all training records, unless an earlier start has done so.

  Args:
    task: the task's configuration, resolved.
    model_dir: folder of the training.

  Returns:
    What came of it.

  Raises:
    ValueError: if more records are corrupt than the settings allow, or what
      follows a damage in a file cannot be read.
  """
  data = task.train_data
  if data.file_type == 'tfrecord_compressed':
    raise ValueError(
        f'{_WHERE}.max_corrupt_records is {data.max_corrupt_records}, but in '
        'compressed files (file_type=tfrecord_compressed) nothing is found '
        'behind a damage. Set it to 0, or convert the data without.')
  files = input_files.match(data.input_path)
  num_bytes = sum(tf.io.gfile.stat(file).length for file in files)
  checked = _read(model_dir)
  if checked is None or checked.num_bytes != num_bytes:
    logging.warning(
        '%s.max_corrupt_records: all records are read and decoded once', _WHERE)
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
      results = list(pool.map(lambda file: _check_file(task, file), files))
    checked = Checked(
        num_bytes, sum(number for number, _ in results),
        tuple(one for _, corrupt in results for one in corrupt))
  if len(checked.corrupt) > data.max_corrupt_records:
    first = checked.corrupt[0]
    raise ValueError(
        f'{tables.counted(len(checked.corrupt), "record")} of {_WHERE} are '
        f'corrupt, and max_corrupt_records is {data.max_corrupt_records}. The '
        f'first is record {first.record} of {first.file}: {first.reason} Raise '
        'it to train without them, or convert the data again.')
  for one in checked.corrupt:
    logging.warning('record %d of %s is left out: %s', one.record, one.file,
                    one.reason)
  return checked


def copy(checked: Checked) -> Mapping[str, str]:
  """Copies the files that hold corrupt records, without these.

  Args:
    checked: what came of reading the data set.

  Returns:
    The copies by their files, in a folder that goes with them.
  """
  copies = _Copies()
  folder = copies.folder.name
  for number, file in enumerate(
      dict.fromkeys(one.file for one in checked.corrupt)):
    bad = {one.record for one in checked.corrupt if one.file == file}
    good = [None if index in bad else record
            for index, (record, _) in enumerate(_records(file))]
    copies[file] = os.path.join(folder, str(number))
    with tf.io.TFRecordWriter(copies[file]) as writer:
      last = next(record for record in good if record is not None)
      for record in good:
        last = last if record is None else record
        writer.write(last)
  return copies


class _Copies(dict[str, str]):
  """Keeps the folder of the copies as long as they are known."""

  def __init__(self):
    super().__init__()
    # pylint: disable-next=consider-using-with
    self.folder = tempfile.TemporaryDirectory(prefix='records_')


def _check_file(task: configs.ImageClassificationTask, file: str
                ) -> tuple[int, Sequence[CorruptRecord]]:
  """Returns how many records a file holds, and those that are corrupt."""
  corrupt, number = [], -1
  for number, (record, is_whole) in enumerate(_records(file)):
    here = f'{_WHERE}: record {number} of {file}'
    try:
      if not is_whole:
        raise message.DecodeError('its checksum is wrong')
      preflight.check_record(record, task, task.train_data, here, decodes=True)
    except message.DecodeError as error:
      corrupt.append(CorruptRecord(file, number, f'it is damaged ({error}).'))
    except ValueError as error:
      corrupt.append(CorruptRecord(
          file, number, str(error).removeprefix(here).strip()))
  if len(corrupt) == number + 1:
    raise ValueError(f'{_WHERE}: {file} holds no record that is whole.')
  return number + 1, corrupt


def _records(file: str) -> Iterator[tuple[bytes, bool]]:
  """Reads a TFRecord file over records whose own bytes are damaged.

  Args:
    file: the file, not compressed.

  Yields:
    Each record, and whether its checksum is right.

  Raises:
    ValueError: if a length is damaged, behind which nothing can be found.
  """
  number = 0
  with tf.io.gfile.GFile(file, 'rb') as opened:
    while head := opened.read(_HEAD.size):
      is_whole = len(head) == _HEAD.size
      if is_whole:
        length, checksum = _HEAD.unpack(head)
        is_whole = checksum == _masked_checksum(head[:8])
      if is_whole:
        record = opened.read(length)
        checksum = opened.read(_CHECKSUM_BYTES)
        is_whole = len(checksum) == _CHECKSUM_BYTES
      if not is_whole:
        raise ValueError(
            f'{_WHERE}: {file} is cut or damaged at record {number}, and what '
            'follows cannot be read. Copy it anew, or convert the data again.')
      yield record, checksum == _masked_checksum(record)
      number += 1


def _masked_checksum(contents: bytes) -> bytes:
  checksum = google_crc32c.value(contents)
  return struct.pack('<I', (
      (checksum >> 15 | checksum << 17) + _MASK) & 0xffffffff)


def _read(folder: str) -> Checked | None:
  """Returns what an earlier start has written; None if there is nothing."""
  try:
    with tf.io.gfile.GFile(os.path.join(folder, FILE)) as file:
      found = json.loads(file.read())
    return Checked(found['num_bytes'], found['num_records'], tuple(
        CorruptRecord(**one) for one in found['corrupt']))
  except (tf.errors.OpError, ValueError, KeyError, TypeError):
    return None
