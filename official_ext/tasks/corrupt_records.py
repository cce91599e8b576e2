"""Trains without a few records that are corrupt, if it is told to.

A training with `task.train_data.max_corrupt_records` reads and decodes all its
records once, before it starts, and writes into the model_dir which of them are
bad; a later start reads only files that have changed. Where one is, the record
before it in its file is read a second time, or the one after it where none is
before: an epoch keeps its length, and every other record its place in the
order. Nothing of the data is changed: it trains on copies of the files that
hold bad records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent import futures
import dataclasses
import json
import os
import struct
import tempfile
from typing import Any

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
_SETTINGS = ('label_offset', 'image_field_key', 'label_field_key',
             'is_multilabel', 'decode_jpeg_only', 'aug_crop')
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
class CheckedFile:
  """What came of reading a file.

  Attributes:
    num_bytes: of the file.
    changed_ns: when it was changed last, in nanoseconds; with the size, by
      which it is known again.
    num_records: in the file.
    corrupt: the numbers of the records that are bad, from 0, and what is wrong
      with each.
  """
  num_bytes: int
  changed_ns: int
  num_records: int
  corrupt: Mapping[int, str]


@dataclasses.dataclass(frozen=True)
class Checked:
  """What came of reading a data set.

  Attributes:
    settings: of the task, on which it depends what is a bad record.
    files: what came of each file, by its path.
  """
  settings: Mapping[str, Any]
  files: Mapping[str, CheckedFile]

  @property
  def num_records(self) -> int:
    return sum(file.num_records for file in self.files.values())

  @property
  def corrupt(self) -> tuple[CorruptRecord, ...]:
    """Those that are bad, of all files."""
    return tuple(CorruptRecord(path, number, reason)
                 for path, file in self.files.items()
                 for number, reason in file.corrupt.items())

  def write(self, folder: str) -> None:
    """Writes it into the model_dir, for people and for the next start."""
    above = _folder_above(self.files)
    values = {'settings': self.settings, 'files': {
        path.removeprefix(above): dataclasses.asdict(file)
        for path, file in self.files.items()}}
    with tf.io.gfile.GFile(os.path.join(folder, FILE), 'w') as file:
      file.write(json.dumps(values, indent=2) + '\n')

  def __str__(self) -> str:
    return (f'{len(self.corrupt)} of '
            f'{tables.counted(self.num_records, "training record")} left out')


def check(task: configs.ImageClassificationTask, model_dir: str) -> Checked:
  """Reads all training records that no earlier start has read as they are.

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
  settings = _settings(task)
  known = _read(model_dir, files, settings)
  states = {file: _state(file) for file in files}
  known = {file: found for file, found in known.items()
           if states[file] == (found.num_bytes, found.changed_ns)}
  to_read = [file for file in files if file not in known]
  if to_read:
    logging.warning(
        '%s.max_corrupt_records: the records of %s are read and decoded once',
        _WHERE, tables.counted(len(to_read), 'file'))
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
      known |= zip(to_read, pool.map(
          lambda file: CheckedFile(*states[file], *_check_file(task, file)),
          to_read), strict=True)
  checked = Checked(settings, {file: known[file] for file in files})
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
                ) -> tuple[int, dict[int, str]]:
  """Returns how many records a file holds, and what is wrong with which."""
  corrupt, number = {}, -1
  for number, (record, is_whole) in enumerate(_records(file)):
    here = f'{_WHERE}: record {number} of {file}'
    try:
      if not is_whole:
        raise message.DecodeError('its checksum is wrong')
      preflight.check_record(record, task, task.train_data, here, decodes=True)
    except message.DecodeError as error:
      corrupt[number] = f'it is damaged ({error}).'
    except ValueError as error:
      corrupt[number] = str(error).removeprefix(here).strip()
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


def _settings(task: configs.ImageClassificationTask) -> dict[str, Any]:
  """Returns what decides, besides a record, on whether it is bad."""
  data = task.train_data
  return {'num_classes': task.model.num_classes} | {
      name: getattr(data, name) for name in _SETTINGS}


def _state(file: str) -> tuple[int, int]:
  """Returns the size and the time by which a file is known again."""
  if os.path.exists(file):
    # TensorFlow tells the time of a local file in whole seconds.
    found = os.stat(file)
    return found.st_size, found.st_mtime_ns
  found = tf.io.gfile.stat(file)
  return found.length, found.mtime_nsec


def _folder_above(files: Iterable[str]) -> str:
  """Returns the path of the folder that all files are below, with its slash."""
  # `commonpath` would take a slash out of gs://.
  common = os.path.commonprefix(list(files))  # noqa: RUF071
  return common[:common.rfind('/') + 1]


def _read(folder: str, files: Sequence[str], settings: Mapping[str, Any]
          ) -> dict[str, CheckedFile]:
  """Returns what an earlier start has found; empty if nothing is known.

  Files are known by their names: the data may have been moved since.
  """
  try:
    with tf.io.gfile.GFile(os.path.join(folder, FILE)) as file:
      found = json.loads(file.read())
    if found['settings'] != settings:
      return {}
    above = _folder_above(files)
    return {above + path: CheckedFile(**values | {'corrupt': {
        int(number): reason for number, reason in values['corrupt'].items()}})
            for path, values in found['files'].items()
            if above + path in files}
  except (tf.errors.OpError, ValueError, KeyError, TypeError, AttributeError):
    return {}
