"""Finds the record that stopped a training.

Before a start a large data set is not read whole, so a bad record may be met in
the middle of a training. TensorFlow's error then names neither the file nor the
record: the files are read again, in parallel, up to the first bad one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent import futures
import os
import re
import types

from absl import logging
from google.protobuf import message
from official.common import dataset_fn
from official.core import config_definitions as cfg
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.params import input_files
from official_ext.tasks import label_offset
from official_ext.tasks import preflight
from official_ext.tasks import record_counts

# Within a condition the node comes after the function that it is in.
_DECODING = re.compile(
    r'([^\n]*)\n\s*\[\[(?:\{\{function_node [^}]*\}\})?'
    r'\{\{node [^}]*(?:[Dd]ecode|Jpeg)')
_WRAPPING = re.compile(r'^.*(?:\}\}|Iterator::\S+) ')
# Of a checkpoint TensorFlow says other things.
_DAMAGED_RECORD = re.compile(r'(corrupted|truncated) record at')
# Not DataLossError: that file was read.
_UNREADABLE = (tf.errors.NotFoundError, tf.errors.PermissionDeniedError,
               tf.errors.FailedPreconditionError, tf.errors.UnavailableError,
               tf.errors.UnknownError)
_ASSERTION = re.compile(
    rf'\[({label_offset.BAD_LABEL}.*?)\] \[(.*?)\]\n', re.DOTALL)


def explain(error: Exception, task: cfg.TaskConfig | None = None
            ) -> str | None:
  """Says what was wrong with a record, without TensorFlow's wrapping.

  Args:
    error: an error of a training or evaluation step.
    task: the task's configuration, resolved; None: its files are not known.

  Returns:
    The message, or None if it was another error.
  """
  if task and isinstance(error, _UNREADABLE):
    for path in (task.train_data.input_path, task.validation_data.input_path):
      # In a loop of steps TensorFlow says first where it was, in lines of text.
      reasons = [line for line in errors.message(error).splitlines()
                 if isinstance(path, str) and
                 f'{os.path.dirname(path)}/' in line]
      if reasons:
        return (f'a file of {path} cannot be read any more: {reasons[0]}. Once '
                'it can be, the same command goes on from the newest '
                'checkpoint.')
  if not isinstance(error, tf.errors.InvalidArgumentError):
    return record_counts.explain(error)
  match = _ASSERTION.search(str(error))
  if match:
    # The message passes through a string literal on its way.
    return f'{match[1]} {match[2]}'.replace("\\'", "'")
  match = _DECODING.search(str(error))
  if match:
    return f'an image cannot be decoded: {_WRAPPING.sub("", match[1])}'
  return None


def find(task: cfg.TaskConfig, names: Sequence[str],
         error: Exception, counts: record_counts.Counts | None = None,
         copies: Mapping[str, str] = types.MappingProxyType({}),
         check: preflight.RecordCheck = preflight.check_record,
         is_of_content: bool | None = None) -> str | None:
  """Finds the record that an error is about.

  Args:
    task: the task's configuration, resolved.
    names: the data sets that it may be in, 'train_data' or 'validation_data'.
    error: an error of a training or evaluation step. One of decoding takes the
      time of an epoch of input.
    counts: of the training data, if they were counted.
    copies: which files were read in the place of others.
    check: checks a record of the task.
    is_of_content: whether the error is about what a record decodes to; None:
      its text says it.

  Returns:
    What is wrong with the first bad record of which file; None if none is
    found, the data are not in files, or the error is about something else.
  """
  if counts and record_counts.explain(error):
    return counts.find_other()
  is_damaged = (isinstance(error, tf.errors.DataLossError) and
                _DAMAGED_RECORD.search(str(error)))
  if not is_damaged and not is_of_content and explain(error) is None:
    return None
  decodes = bool(is_of_content or _DECODING.search(str(error)))
  for name in names:
    data = getattr(task, name)
    if data.tfds_name:
      continue
    files = sorted(input_files.match(data.input_path))
    logging.warning('looking for the bad record in task.%s', name)
    pool = futures.ThreadPoolExecutor(os.cpu_count())
    try:
      for found in pool.map(
          lambda file, data=data, name=name: _first_bad(
              task, data, file, f'task.{name}', decodes,
              copies.get(file, file), check), files):
        if found:
          return found
    finally:
      pool.shutdown(cancel_futures=True)
  return None


def _first_bad(task: cfg.TaskConfig, data: cfg.DataConfig,
               file: str, where: str, decodes: bool, read: str,
               check: preflight.RecordCheck) -> str | None:
  """Says what is wrong with the first bad record of a file, if one is."""
  number = 0
  try:
    for record in dataset_fn.pick_dataset_fn(data.file_type)(
        read).as_numpy_iterator():
      check(
          record, task, data, f'{where}: record {number} of {file}', decodes)
      number += 1
  except (tf.errors.OpError, message.DecodeError) as error:
    return preflight.damaged(file, number, data, where, error)
  except ValueError as error:
    return str(error)
  return None
