"""Reads the event files that TensorBoard shows."""

import pathlib

import tensorflow as tf
from tensorflow.python.summary import summary_iterator


def scalars(folder):
  """Every scalar of the event files in a folder: {name: {step: value}}."""
  found = {}
  for path in sorted(pathlib.Path(folder).glob('events.out.tfevents.*')):
    for event in summary_iterator.summary_iterator(str(path)):
      for value in _scalars(event):
        found.setdefault(value.tag, {})[event.step] = float(
            tf.make_ndarray(value.tensor))
  return found


def images(folder, tag):
  """Every image of a tag, uint8 [height, width, 3]: {step: image}."""
  found = {}
  for path in sorted(pathlib.Path(folder).glob('events.out.tfevents.*')):
    for event in summary_iterator.summary_iterator(str(path)):
      for value in event.summary.value:
        if value.tag == tag:
          # After its width and its height.
          found[event.step] = tf.io.decode_png(
              tf.make_ndarray(value.tensor)[2]).numpy()
  return found


def steps(folder):
  """The steps at which scalars were logged, as often as there are events.

  Events of one step in one file, one after the other, count once.
  """
  found = []
  for path in sorted(pathlib.Path(folder).glob('events.out.tfevents.*')):
    last = None
    for event in summary_iterator.summary_iterator(str(path)):
      if _scalars(event) and event.step != last:
        last = event.step
        found.append(last)
  return found


def _scalars(event):
  return [value for value in event.summary.value
          if value.metadata.plugin_data.plugin_name == 'scalars']
