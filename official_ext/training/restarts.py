"""Takes back what was logged of steps that a training takes again.

A process that is killed leaves values of steps after its last checkpoint, which
the next one logs anew. TensorFlow 2 has no `purge_step`, and readers of event
files differ in what they make of a step that is there twice. So the values are
taken out; the events stay, with their times. A TensorBoard that is running has
read them already: it gives them up at the event with which TensorFlow 1 began a
session.
"""

from __future__ import annotations

from collections.abc import Iterable
import os
import socket
import time

import tensorflow as tf

from official_ext.training import event_tags

_VERSION = 'brain.Event:2'


def take_back(folder: str, step: int) -> None:
  """Takes the values of later steps out of event files.

  Args:
    folder: of event files that no process writes to; may be missing.
    step: what the training goes on from.

  Raises:
    tf.errors.OpError: if the folder cannot be written.
  """
  # All are looked at: a list, and no generator.
  if any([_take_back(path, step) for path in sorted(tf.io.gfile.glob(
      os.path.join(folder, f'{event_tags.PREFIX}*')))]):
    _mark(folder, step)


def _take_back(path: str, step: int) -> bool:
  """Takes values out of a file; returns whether there were any."""
  events = []
  try:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      events.append(tf.compat.v1.Event.FromString(record))
  except tf.errors.DataLossError:
    # The last record of a process that was killed while it wrote.
    pass
  given_up = [event for event in events
              if event.step > step and event.summary.value]
  if not given_up:
    return False
  for event in given_up:
    event.ClearField('summary')
  folder, name = os.path.split(path)
  # Readers know event files by their names.
  unfinished = os.path.join(folder, name.replace('tfevents', 'unfinished'))
  _write(unfinished, events)
  tf.io.gfile.rename(unfinished, path, overwrite=True)
  return True


def _mark(folder: str, step: int) -> None:
  """Writes the event by which TensorBoard gives up what it has read."""
  now = time.time()
  # Event files are read in the order of their names: after two dots it comes
  # before what is logged from now on, within this second too.
  name = f'{event_tags.PREFIX}{int(now):010d}..{socket.gethostname()}'
  session = tf.compat.v1.Event(
      wall_time=now, step=step + 1, session_log=tf.compat.v1.SessionLog(
          status=tf.compat.v1.SessionLog.START))
  _write(os.path.join(
      folder, f'{name}.{os.getpid()}{event_tags.RESTART_SUFFIX}'),
         # TensorBoard takes the first session for the begin of the training.
         [tf.compat.v1.Event(wall_time=now, file_version=_VERSION), session,
          session])


def _write(path: str, events: Iterable[tf.compat.v1.Event]) -> None:
  with tf.io.TFRecordWriter(path) as writer:
    for event in events:
      writer.write(event.SerializeToString())
