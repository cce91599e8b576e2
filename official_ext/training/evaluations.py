"""Which evaluations a training has on record, in its event files."""

from __future__ import annotations

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
  found = set()
  for path in tf.io.gfile.glob(os.path.join(folder, f'{event_tags.PREFIX}*')):
    try:
      for event in tf.compat.v1.train.summary_iterator(path):
        if event.summary.value:
          found.add(event.step)
    except tf.errors.DataLossError:
      # The last record of a process that was killed while it wrote.
      continue
  return found
