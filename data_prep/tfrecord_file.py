"""TFRecord files and tf.train.Example, without TensorFlow.

A process that only moves bytes should not pay for importing TensorFlow (about
720 MiB and several seconds). The tests hold what is written here to what
TensorFlow writes, byte for byte.

File format: https://www.tensorflow.org/tutorials/load_data/tfrecord. The
message: tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import struct

from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message_factory
from google.protobuf import text_format
import google_crc32c

from . import storage

# The map of tf.train.Features is spelled out as the list of entries that it is
# on the wire, which puts their order, and so the bytes, into our hands.
_EXAMPLE_PROTO = """
name: "data_prep/example.proto"
package: "data_prep"
syntax: "proto2"
message_type {
  name: "BytesList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES }
}
message_type {
  name: "Int64List"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64
          options { packed: true } }
}
message_type {
  name: "Feature"
  field { name: "bytes_list" number: 1 label: LABEL_OPTIONAL
          type: TYPE_MESSAGE type_name: ".data_prep.BytesList" }
  field { name: "int64_list" number: 3 label: LABEL_OPTIONAL
          type: TYPE_MESSAGE type_name: ".data_prep.Int64List" }
}
message_type {
  name: "Entry"
  field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "value" number: 2 label: LABEL_OPTIONAL
          type: TYPE_MESSAGE type_name: ".data_prep.Feature" }
}
message_type {
  name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED
          type: TYPE_MESSAGE type_name: ".data_prep.Entry" }
}
message_type {
  name: "Example"
  field { name: "features" number: 1 label: LABEL_OPTIONAL
          type: TYPE_MESSAGE type_name: ".data_prep.Features" }
}
"""


def _example_class():
  pool = descriptor_pool.DescriptorPool()
  pool.Add(text_format.Parse(
      _EXAMPLE_PROTO, descriptor_pb2.FileDescriptorProto()))
  return message_factory.GetMessageClass(
      pool.FindMessageTypeByName('data_prep.Example'))


_Example = _example_class()


def serialize_example(features: Mapping[str, int | bytes]) -> bytes:
  """Serializes a tf.train.Example of single values.

  Args:
    features: an integer or bytes by key.

  Returns:
    What tf.train.Example.SerializeToString(deterministic=True) returns.
  """
  example = _Example()
  for key in sorted(features):
    value = features[key]
    entry = example.features.feature.add(key=key)
    if isinstance(value, bytes):
      entry.value.bytes_list.value.append(value)
    else:
      entry.value.int64_list.value.append(value)
  return example.SerializeToString()


@dataclasses.dataclass(frozen=True)
class WrittenFile:
  """A finished TFRecord file.

  Attributes:
    num_records: records in it.
    num_bytes: its size.
    sha256: of its content, in hexadecimal.
  """
  num_records: int
  num_bytes: int
  sha256: str


class Writer:
  """Writes one TFRecord file, which appears only when it is complete.

  Until `finish` it lies beside its final name, as `.unfinished-...`.
  """

  def __init__(self, path: str):
    """Opens the file.

    Args:
      path: where it shall be; an existing one is replaced at the end.
    """
    self._path = path
    self._unfinished = storage.unfinished_name(path)
    self._file = storage.open_binary(self._unfinished, 'wb')
    self._hash = hashlib.sha256()
    self._num_records = 0
    self._num_bytes = 0

  def write(self, record: bytes) -> None:
    """Adds a record."""
    length = struct.pack('<Q', len(record))
    for part in (length + _masked_crc(length), record, _masked_crc(record)):
      self._file.write(part)
      self._hash.update(part)
      self._num_bytes += len(part)
    self._num_records += 1

  def finish(self) -> WrittenFile:
    """Closes the file and gives it its name."""
    self._file.close()
    storage.rename(self._unfinished, self._path)
    return WrittenFile(
        self._num_records, self._num_bytes, self._hash.hexdigest())

  def discard(self) -> None:
    """Removes what was written; after `finish` it does nothing."""
    self._file.close()
    storage.remove(self._unfinished)


def _masked_crc(data: bytes) -> bytes:
  """Returns the checksum of the format: CRC-32C, rotated and shifted."""
  crc = google_crc32c.value(data)
  return struct.pack(
      '<I', (((crc >> 15) | (crc << 17)) + 0xa282ead8) & 0xffffffff)
