"""Reads the event files that TensorBoard shows."""

import pathlib

import tensorflow as tf
from tensorflow.python.summary import summary_iterator


def scalars(folder):
  """Every scalar of the event files in a folder: {name: {step: value}}."""
  found = {}
  for path in sorted(pathlib.Path(folder).glob('events.out.tfevents.*')):
    for event in summary_iterator.summary_iterator(str(path)):
      for value in event.summary.value:
        found.setdefault(value.tag, {})[event.step] = float(
            tf.make_ndarray(value.tensor))
  return found
