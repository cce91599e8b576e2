"""Where the time of a training goes, over all its starts.

A stopwatch measures one process. Its seconds are appended to `history.jsonl` in
the model_dir at every report, so that what a killed start did is known, up to
its last report, and also which of its steps a later start took again. Goodput
is the share of the time that steps took which count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import json
import os
import textwrap
import time
from typing import Any

from absl import logging
import numpy as np
import tensorflow as tf

HISTORY_FILE = 'history.jsonl'

STEPS = 'steps'
INPUT = 'input'
COMPILATION = 'compilation'
EVALUATION = 'evaluation'
CHECKPOINTS = 'checkpoints'
START_UP = 'start-up'
OTHER = 'other'
# Steps that a later start took again.
LOST = 'lost to restarts'
# In the order in which they are shown.
PHASES = (STEPS, INPUT, COMPILATION, EVALUATION, CHECKPOINTS, START_UP, OTHER)
# Of an entry in the history: no steps follow, though the training has more.
_STOPPED_EARLY = 'stopped early'
# Of a line, beside its label.
_WIDTH = 67


class Stopwatch:
  """Measures what a process does, one thing at a time."""

  def __init__(self, clock: Callable[[], float] = time.monotonic):
    """Starts the watch.

    Args:
      clock: returns seconds, and never goes back.
    """
    self._clock = clock
    self._start = clock()
    self._seconds = dict.fromkeys(PHASES, 0.0)
    # Of each measurement that is open, what those inside it have taken.
    self._inside: list[float] = []
    self._has_begun = False

  def add(self, phase: str, seconds: float) -> None:
    """Takes what was measured elsewhere."""
    self._seconds[phase] += seconds

  @property
  def has_stepped(self) -> bool:
    """Whether a training step was taken: the first one compiles."""
    return self._seconds[COMPILATION] > 0

  def begin_training(self) -> None:
    """Ends the start-up; called again, it does nothing."""
    if not self._has_begun:
      self._has_begun = True
      self.add(START_UP, self._clock() - self._start - sum(
          self._seconds.values()))

  @contextlib.contextmanager
  def measure(self, phase: str) -> Iterator[None]:
    """Measures what runs inside, without what is measured inside that.

    Args:
      phase: one of PHASES.

    Yields:
      Nothing.
    """
    start = self._clock()
    self._inside.append(0.0)
    try:
      yield
    finally:
      seconds = self._clock() - start
      self.add(phase, seconds - self._inside.pop())
      if self._inside:
        self._inside[-1] += seconds

  def seconds(self) -> dict[str, float]:
    """Returns the seconds of every phase so far; what is left is OTHER."""
    total = self._clock() - self._start
    known = sum(self._seconds.values())
    return self._seconds | {OTHER: max(total - known, 0.0)}


class History:
  """Appends to the file of a training what one start of it does."""

  def __init__(self, model_dir: str, stopwatch: Stopwatch):
    """Initialises the history.

    Args:
      model_dir: folder of the training.
      stopwatch: of this process.
    """
    self._path = os.path.join(model_dir, HISTORY_FILE)
    self._stopwatch = stopwatch
    self._entries = _read(model_dir)
    self._name = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())
    self._name += f' process {os.getpid()}'

  def begin(self, step: int) -> None:
    """Notes that steps are taken from `step` on."""
    self._append('begin', step)

  def reach(self, step: int) -> None:
    """Notes that a step is reached, and what was measured until then."""
    self._append('reach', step)

  def stop_early(self, step: int) -> None:
    """Notes that the training is over before its last step."""
    self._append(_STOPPED_EARLY, step)

  def totals(self) -> Totals:
    """Returns where the time went, over all starts and up to now."""
    return total(self._entries)

  def _append(self, event: str, step: int) -> None:
    entry = {
        'start': self._name, 'event': event, 'step': step,
        'seconds': {phase: round(seconds, 3) for phase, seconds
                    in self._stopwatch.seconds().items()}}
    self._entries.append(entry)
    try:
      with tf.io.gfile.GFile(self._path, 'a') as file:
        # In front, since the line of a start that was killed may lack its end.
        file.write(f'\n{json.dumps(entry)}')
    except tf.errors.OpError as error:
      # Nothing but these figures depends on it.
      logging.warning('%s is not written: %s', self._path, error.message)


@dataclasses.dataclass(frozen=True)
class Totals:
  """Where the time of a training went, over all its starts.

  Attributes:
    seconds: of every phase that anything is known of, and of LOST.
    num_starts: how many processes took steps.
    lost_steps: how many steps were taken again.
  """
  seconds: Mapping[str, float]
  num_starts: int
  lost_steps: int

  @property
  def total_seconds(self) -> float:
    """All of it, without the time in which no process ran."""
    return sum(self.seconds.values())

  @property
  def goodput(self) -> float | None:
    """The share of the steps that count, from 0 to 1; None without time."""
    total = self.total_seconds
    return self.seconds.get(STEPS, 0.0) / total if total else None

  def share(self, phase: str) -> float | None:
    """Returns the share of a phase, from 0 to 1; None without time."""
    total = self.total_seconds
    return self.seconds.get(phase, 0.0) / total if total else None


def read(model_dir: str) -> Totals | None:
  """Reads the history of a training.

  Args:
    model_dir: folder of the training.

  Returns:
    Where its time went; None of a training that has no history, as those of
    earlier versions.
  """
  entries = _read(model_dir)
  return total(entries) if entries else None


def stopped_early_at(model_dir: str) -> int | None:
  """Reads whether a training was over before its last step.

  Args:
    model_dir: folder of the training.

  Returns:
    The step that it ended at; None if it was not stopped, or has gone on since.
  """
  stretches = _stretches(_read(model_dir))
  for entry in stretches[-1] if stretches else ():
    if entry['event'] == _STOPPED_EARLY:
      return entry['step']
  return None


def total(entries: Sequence[Mapping[str, Any]]) -> Totals:
  """Sums a history up.

  Args:
    entries: the lines of the file, in their order.

  Returns:
    Where the time went. Steps that were taken again are LOST, with the waiting
    for their input.
  """
  newest = {entry['start']: entry['seconds'] for entry in entries}
  seconds = dict.fromkeys([*PHASES, LOST], 0.0)
  for found in newest.values():
    for phase, value in found.items():
      seconds[phase] = seconds.get(phase, 0.0) + value
  lost_steps = 0
  stretches = _stretches(entries)
  for index, stretch in enumerate(stretches):
    steps = [entry['step'] for entry in stretch]
    went_back_to = min(
        [later[0]['step'] for later in stretches[index + 1:]],
        default=steps[-1])
    lost_steps += max(steps[-1] - max(went_back_to, steps[0]), 0)
    for phase in (STEPS, INPUT):
      taken = [entry['seconds'].get(phase, 0.0) for entry in stretch]
      lost = taken[-1] - float(np.interp(went_back_to, steps, taken))
      seconds[phase] -= lost
      seconds[LOST] += lost
  return Totals(seconds, len(newest), lost_steps)


def describe(totals: Totals) -> list[tuple[str, str]]:
  """Describes where the time went, for the table that a run ends with.

  Args:
    totals: of the training.

  Returns:
    Labels and texts, a line each.
  """
  if not totals.total_seconds:
    return []
  shares = ', '.join(
      f'{phase} {100 * totals.share(phase):.1f} %' for phase in totals.seconds
      if totals.share(phase) >= 0.0005)
  starts = f'{totals.num_starts} start{"s" if totals.num_starts > 1 else ""}'
  text = (f'{100 * totals.goodput:.1f} % of '
          f'{duration(totals.total_seconds)} in {starts}')
  if totals.lost_steps:
    text += f'; {totals.lost_steps} steps were taken again'
  first, *others = textwrap.wrap(shares, _WIDTH)
  return [('goodput', text), ('time', first), *(('', one) for one in others)]


def duration(seconds: float) -> str:
  """Formats a time such as '1 min 27 s'."""
  minutes, rest = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours} h {minutes} min'
  return f'{minutes} min {rest} s' if minutes else f'{rest} s'


def _stretches(entries: Sequence[Mapping[str, Any]]
               ) -> list[list[Mapping[str, Any]]]:
  """Returns the entries between one beginning, or going back, and the next."""
  stretches = []
  for entry in entries:
    if entry['event'] == 'begin' or not stretches:
      stretches.append([])
    stretches[-1].append(entry)
  return stretches


def _read(model_dir: str) -> list[dict[str, Any]]:
  """Returns the lines of the file of a training, none if there is none."""
  path = os.path.join(model_dir, HISTORY_FILE)
  if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
    return []
  with tf.io.gfile.GFile(path, 'rb') as file:
    lines = file.read().decode('utf-8', 'replace').splitlines()
  return [entry for line in lines if (entry := _entry(line))]


def _entry(line: str) -> dict[str, Any] | None:
  """Reads a line; None if it was cut, by a kill or a full disk."""
  try:
    entry = json.loads(line)
    valid = (isinstance(entry['seconds'], dict) and
             isinstance(entry['step'], int) and
             isinstance(entry['start'], str) and 'event' in entry)
  except (ValueError, TypeError, KeyError):
    return None
  return entry if valid else None
