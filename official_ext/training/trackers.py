"""Services beside TensorBoard that get what is logged of a training.

They are told by a thread of their own: whatever a network does, no step waits
for it and none fails. TensorBoard's files hold everything.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
import dataclasses
import json
import os
import queue
import threading
import time
from typing import Any

from absl import logging
from PIL import Image
import tensorflow as tf

from official_ext.command_line import errors

# In the model_dir: which run of each service is this training.
RUNS_FILE = 'tracked_runs.json'
# So long the end of a training waits for what is not sent yet.
_END_SECONDS = 60.0
# A machine that is taken away is gone soon.
_PREEMPTED_SECONDS = 5.0

# How a run ended.
FINISHED = 'finished'
PREEMPTED = 'preempted'
FAILED = 'failed'


@dataclasses.dataclass(frozen=True)
class Training:
  """What a service is told of a training when it begins or goes on.

  Attributes:
    model_dir: its folder.
    configuration: its settings, nested by name.
    hyperparameters: those from which another result may follow, by their paths.
    step: at which it begins or goes on.
  """
  model_dir: str
  configuration: Mapping[str, Any]
  hyperparameters: Mapping[str, bool | int | float | str]
  step: int

  @property
  def name(self) -> str:
    """The name of its folder."""
    return os.path.basename(os.path.normpath(self.model_dir))


class Tracker(abc.ABC):
  """A service.

  Attributes:
    name: as people know it.
    key: its setting below `trainer.logging`, and its entry in RUNS_FILE.
  """
  name: str
  key: str

  @abc.abstractmethod
  def begin(self, training: Training, known: Mapping[str, str]
            ) -> dict[str, str]:
    """Begins a run, or goes on with one.

    Args:
      training: the training.
      known: what this returned before; empty: nothing.

    Returns:
      What finds the run again.
    """

  @abc.abstractmethod
  def scalars(self, values: Mapping[str, float], step: int) -> None:
    """Logs numbers by their names."""

  @abc.abstractmethod
  def image(self, name: str, image: Image.Image, step: int) -> None:
    """Logs a picture."""

  @abc.abstractmethod
  def end(self, how: str, seconds: float) -> None:
    """Ends the run.

    Args:
      how: FINISHED, PREEMPTED or FAILED.
      seconds: the longest that it may take.
    """

  def where(self) -> str:
    """Returns where a person finds the run; empty: it is not known."""
    return ''


class Running:
  """A tracker that has begun, told in the background what comes."""

  def __init__(self, tracker: Tracker):
    """Starts the thread.

    Args:
      tracker: it has begun.
    """
    self._tracker = tracker
    self._calls: queue.Queue[Callable[[], None]] = queue.Queue()
    self._num_failed = 0
    self._thread = threading.Thread(target=self._work, daemon=True)
    self._thread.start()

  def scalars(self, values: Mapping[str, float], step: int) -> None:
    """Logs numbers by their names, soon."""
    self._calls.put(lambda: self._tracker.scalars(values, step))

  def image(self, name: str, image: Image.Image, step: int) -> None:
    """Logs a picture, soon."""
    self._calls.put(lambda: self._tracker.image(name, image, step))

  def end(self, how: str) -> None:
    """Ends the run, and warns of what did not arrive."""
    seconds = _PREEMPTED_SECONDS if how == PREEMPTED else _END_SECONDS
    until = time.monotonic() + seconds
    self._calls.put(lambda: self._tracker.end(how, seconds))
    self._calls.put(None)
    self._thread.join(max(0.0, until - time.monotonic()))
    left = self._num_failed + (
        self._calls.qsize() if self._thread.is_alive() else 0)
    if left or self._thread.is_alive():
      logging.warning(
          '%s did not get all that was logged (%d calls failed or are left). '
          "TensorBoard's files have it.", self._tracker.name, left)

  def _work(self) -> None:
    while (call := self._calls.get()) is not None:
      try:
        call()
      except Exception as error:  # pylint: disable=broad-exception-caught
        if not self._num_failed:
          logging.warning(
              '%s failed, and the training goes on: %s', self._tracker.name,
              errors.reason(error))
        self._num_failed += 1


def begin(tracker: Tracker, training: Training) -> Running | None:
  """Begins or resumes the run of a service.

  Args:
    tracker: the service.
    training: the training.

  Returns:
    What to tell; None if it could not begin: a warning says so, and the
    training goes on without.
  """
  known = read_runs(training.model_dir)
  try:
    found = tracker.begin(training, known.get(tracker.key, {}))
  except Exception as error:  # pylint: disable=broad-exception-caught
    logging.warning(
        '%s could not begin, and the training goes on without: %s',
        tracker.name, errors.reason(error))
    return None
  if found != known.get(tracker.key):
    _write_runs(training.model_dir, {**known, tracker.key: found})
  return Running(tracker)


def read_runs(model_dir: str) -> dict[str, dict[str, str]]:
  """Returns the runs of a training by the key of their service.

  Args:
    model_dir: its folder.
  """
  path = os.path.join(model_dir, RUNS_FILE)
  if not tf.io.gfile.exists(path):
    return {}
  try:
    with tf.io.gfile.GFile(path) as file:
      found = json.loads(file.read())
    return {key: dict(run) for key, run in found.items()}
  except (ValueError, TypeError, AttributeError) as error:
    logging.warning('%s cannot be read, so new runs are begun: %s', path, error)
    return {}


def _write_runs(model_dir: str, runs: Mapping[str, Any]) -> None:
  path = os.path.join(model_dir, RUNS_FILE)
  with tf.io.gfile.GFile(f'{path}.new', 'w') as file:
    file.write(json.dumps(runs, indent=2) + '\n')
  tf.io.gfile.rename(f'{path}.new', path, overwrite=True)
