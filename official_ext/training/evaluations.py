"""The evaluations of a training: which are on record, and whether whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import os

from absl import logging
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


def check_count(logs: Mapping[str, float], expected: int) -> None:
  """Warns where a whole evaluation had another number of images.

  Args:
    logs: of the evaluation, by name.
    expected: the images that the settings say there are; 0: they say nothing.
  """
  counted = logs.get(event_tags.NUM_IMAGES)
  if counted is not None and expected and counted != expected:
    logging.warning(
        'Evaluation counted %d images, but '
        'task.validation_data.num_examples is %d.', counted, expected)
