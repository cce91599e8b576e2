"""Reads what a training logged: the scalars of its event files.

A record that is not written to its end yet, of a training in progress, ends a
file without an error. Several starts of a training leave several files; this
module makes one history of them.

- A start resumes from a checkpoint, and so repeats the steps after it. What
  was logged before of a step that is logged again, or of a later one, does not
  count, evaluations included: it is of weights that were given up.
- The training time is the time from the first to the last record of each file
  of `train`, one after another. A file is opened when a training starts, so
  this includes compilation, evaluations and checkpoints in between, and the
  steps that were repeated; it leaves out the time between a start's last
  record and the next start, and evaluations apart from training.
- An evaluation is placed at the training time of its step, whenever it ran.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import dataclasses
import os

from absl import logging
import numpy as np
from tensorboard.compat.proto import event_pb2
import tensorflow as tf

from official_ext.training import event_tags

# Where Model Garden's driver writes the logs of the training.
TRAIN_SUBDIR = 'train'
VALIDATION_SUBDIR = 'validation'
# What TensorFlow's profiler leaves beside a profile.
_EMPTY_SUFFIX = '.profile-empty'
_SCALARS = 'scalars'
_SECONDS_PER_HOUR = 3600


@dataclasses.dataclass(frozen=True)
class Point:
  """A logged value.

  Attributes:
    step: when it was logged.
    value: as it was logged.
  """
  step: int
  value: float


@dataclasses.dataclass(frozen=True)
class Series:
  """The values of one name, by step; at least one.

  Attributes:
    steps: int64 [N], ascending.
    values: float64 [N], as they were logged.
  """
  steps: np.ndarray
  values: np.ndarray

  def __len__(self) -> int:
    return len(self.steps)

  @property
  def last(self) -> Point:
    """The newest value."""
    return self._point(-1)

  @property
  def best(self) -> Point | None:
    """The first of the largest values; None if all are NaN."""
    if np.isnan(self.values).all():
      return None
    return self._point(np.nanargmax(self.values))

  def _point(self, index: int) -> Point:
    return Point(int(self.steps[index]), float(self.values[index]))


@dataclasses.dataclass(frozen=True)
class History:
  """What a training logged.

  Attributes:
    train: by name, of the training.
    validation: by name, of the evaluations.
    train_steps: int64 [N], every step that the training logged at.
    train_hours: float64 [N], the training time at these steps.
    total_hours: training time of all starts; None without a log of training.
    num_starts: how many times the training was started.
    newest_time: when the newest value was logged, seconds since 1970; None if
      there is none yet.
  """
  train: Mapping[str, Series]
  validation: Mapping[str, Series]
  train_steps: np.ndarray
  train_hours: np.ndarray
  total_hours: float | None
  num_starts: int
  newest_time: float | None

  @property
  def last_step(self) -> int | None:
    """The newest step that anything was logged at; None if nothing was."""
    last = [series.steps[-1]
            for series in (*self.train.values(), *self.validation.values())]
    return int(max(last)) if last else None

  def hours_at(self, steps: np.ndarray) -> np.ndarray:
    """Returns the training time at steps, also between those that were logged.

    Args:
      steps: int64 [N].

    Returns:
      Hours, float64 [N]; NaN if there is no log of the training.
    """
    if not len(self.train_steps):
      return np.full(len(steps), np.nan)
    return np.interp(steps, [0, *self.train_steps], [0, *self.train_hours])


@dataclasses.dataclass(frozen=True)
class _Value:
  """A logged value; `hours` is the training time, for one of the training."""
  time: float
  step: int
  tag: str
  value: float
  hours: float | None = None


def read(model_dir: str,
         validation_subdir: str = VALIDATION_SUBDIR) -> History:
  """Reads the event files of a training.

  Args:
    model_dir: folder of the training.
    validation_subdir: folder in it of the evaluations' event files.

  Returns:
    What was logged; empty if a training has just begun.

  Raises:
    ValueError: if there are no event files.
  """
  folders = [os.path.join(model_dir, subdir)
             for subdir in (TRAIN_SUBDIR, validation_subdir)]
  train_paths, validation_paths = (_find(folder) for folder in folders)
  if not train_paths and not validation_paths:
    raise ValueError(
        f'there are no event files in {folders[0]} or {folders[1]}: the '
        'training has not begun, or its logs are elsewhere. Name the '
        '--model_dir of a training that logs.')
  # The file of a training that has just begun may be empty.
  starts = filter(None, (list(_load(path)) for path in train_paths))
  values, hours = [], 0.0
  for records in sorted(starts, key=lambda records: records[0][0]):
    begin, end = records[0][0], records[-1][0]
    for time, scalars in records:
      now = hours + (time - begin) / _SECONDS_PER_HOUR
      values += [_Value(time, *scalar, now) for scalar in scalars]
    hours += (end - begin) / _SECONDS_PER_HOUR
  for path in validation_paths:
    values += [_Value(time, *scalar)
               for time, scalars in _load(path) for scalar in scalars]
  return _join(values, hours if train_paths else None, len(train_paths))


def _find(folder: str) -> list[str]:
  """Returns the event files in a folder, which may be missing."""
  if not tf.io.gfile.isdir(folder):
    return []
  return [os.path.join(folder, name)
          for name in sorted(tf.io.gfile.listdir(folder))
          if name.startswith(event_tags.PREFIX) and
          not name.endswith((_EMPTY_SUFFIX, event_tags.RESTART_SUFFIX))]


def _load(path: str) -> Iterator[tuple[float, list[tuple[int, str, float]]]]:
  """Yields the records of a file: when, and (step, name, value) of its scalars.

  Says so if the file cannot be read to its end. A record that is cut short is
  none: it is being written.
  """
  count, time = 0, 0.0
  try:
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
      event = event_pb2.Event.FromString(record)
      # A clock that was set back must not look like a restart.
      time = max(time, event.wall_time)
      yield time, [
          (event.step, value.tag, float(tf.make_ndarray(value.tensor).item()))
          for value in event.summary.value
          if value.metadata.plugin_data.plugin_name == _SCALARS]
      count += 1
  except tf.errors.DataLossError as error:
    if 'truncated' not in error.message or not count:
      logging.warning(
          '%s is damaged after %d records; what follows is not read.', path,
          count)


def _join(values: list[_Value], total_hours: float | None,
          num_starts: int) -> History:
  """Makes one history of the values of all starts."""
  # By name, and then by step.
  train: dict[str, dict[int, float]] = {}
  validation: dict[str, dict[int, float]] = {}
  hours: dict[int, float] = {}
  current = -1
  for value in sorted(values, key=lambda item: item.time):
    step = value.step
    if value.hours is None:
      validation.setdefault(value.tag, {})[step] = value.value
      continue
    if step < current or step in train.get(value.tag, ()):
      for log in (hours, *train.values(), *validation.values()):
        for given_up in [other for other in log if other >= step]:
          del log[given_up]
    current = step
    train.setdefault(value.tag, {})[step] = value.value
    hours[step] = value.hours
  times = _series(hours)
  return History(
      train={tag: _series(log) for tag, log in train.items() if log},
      validation={tag: _series(log) for tag, log in validation.items() if log},
      train_steps=times.steps,
      train_hours=times.values,
      total_hours=total_hours,
      num_starts=num_starts,
      newest_time=max((value.time for value in values), default=None))


def _series(log: dict[int, float]) -> Series:
  steps = sorted(log)
  return Series(np.array(steps, np.int64),
                np.array([log[step] for step in steps], np.float64))
