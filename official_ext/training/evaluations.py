"""Which evaluations a training has on record, in its event files."""

from __future__ import annotations

from collections.abc import Iterator
import os

import tensorflow as tf

from official_ext.training import event_tags


def steps(folder: str) -> set[int]:
  """Reads at which steps evaluations were logged.

  Args:
    folder: of the event files of the evaluations.

  Returns:
    The steps.
  """
  return {event.step for event in _events(folder)}


def values(folder: str, metric: str) -> dict[int, float]:
  """Reads what evaluations have found.

  Args:
    folder: of the event files of the evaluations.
    metric: the name it is logged under.

  Returns:
    Its value by the step, the last one of a step that was evaluated twice.
  """
  found = {}
  for event in sorted(_events(folder), key=lambda event: event.wall_time):
    for value in event.summary.value:
      if value.tag == metric:
        found[event.step] = float(tf.make_ndarray(value.tensor))
  return found


def _events(folder: str) -> Iterator[tf.compat.v1.Event]:
  """Yields the events that hold values."""
  for path in tf.io.gfile.glob(os.path.join(folder, f'{event_tags.PREFIX}*')):
    try:
      for event in tf.compat.v1.train.summary_iterator(path):
        if event.summary.value:
          yield event
    except tf.errors.DataLossError:
      # The last record of a process that was killed while it wrote.
      continue
