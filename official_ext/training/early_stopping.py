"""Ends a training that gets no better before its last step.

The evaluations on record decide, so that a training that was interrupted ends
where an undisturbed one does. Those at other steps than the multiples of the
interval, such as the last one of a training that was made longer since, do not
count.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math
from typing import Any

from official_ext.command_line import errors
from official_ext.command_line import tables
from official_ext.configs import small_data
from official_ext.training import evaluations


@dataclasses.dataclass(frozen=True)
class Record:
  """The best evaluation so far, and how many came since.

  Attributes:
    best_step: its step.
    best_value: its metric.
    num_since: evaluations since that were no better.
  """
  best_step: int
  best_value: float
  num_since: int


def find_best(values: Mapping[int, float], is_better_smaller: bool,
              min_delta: float) -> Record:
  """Finds the best evaluation, as it was found one by one.

  Args:
    values: the metric of at least one evaluation, by its step.
    is_better_smaller: whether it is one of those that fall.
    min_delta: what is better by no more than this is no better.

  Returns:
    The record.
  """
  sign = -1 if is_better_smaller else 1
  best_step, best, num_since = 0, -math.inf, 0
  for step in sorted(values):
    value = sign * values[step]
    if value - min_delta > best:
      best_step, best, num_since = step, value, 0
    else:
      num_since += 1
  return Record(best_step, sign * best, num_since)


def message(num_left: int, reason: str, has_trained: bool) -> str:
  """Says that a training is over before its last step.

  Args:
    num_left: steps that it does not take.
    reason: why.
    has_trained: whether this start has taken any.

  Returns:
    One line.
  """
  what = f'stopped early, {num_left} steps before the end: {reason}'
  if has_trained:
    return what
  return (f'the model_dir is trained already, and was {what}. Raise that to go '
          'on')


class EarlyStopping:
  """Says after each evaluation whether the training is to end."""

  def __init__(self, config: small_data.EarlyStopping, folder: str):
    """Initialises it.

    Args:
      config: when to stop.
      folder: of the event files of the evaluations.
    """
    self._config = config
    self._folder = folder
    self._interval = 1
    self._values: dict[int, float] = {}

  def begin(self, step: int, interval: int) -> str | None:
    """Takes in what was evaluated before, if anything is to be stopped.

    Args:
      step: that the training begins at or goes on from.
      interval: steps between two evaluations.

    Returns:
      Why the training is over already; None: it is not.
    """
    if not self._config.patience_evaluations:
      return None
    self._interval = interval
    self._values = {
        at: value for at, value in evaluations.values(
            self._folder, self._config.metric).items()
        if at <= step and at % interval == 0}
    return self._reason()

  def add(self, step: int, logs: Mapping[str, Any]) -> str | None:
    """Takes in an evaluation.

    Args:
      step: of the weights.
      logs: what it found, by name.

    Returns:
      Why the training is to end; None: it goes on.

    Raises:
      errors.UserError: if no evaluation has the metric, which is not known
        before where images belong to several classes.
    """
    if not self._config.patience_evaluations or step % self._interval:
      return None
    if self._config.metric not in logs:
      raise errors.UserError(
          f'trainer.early_stopping.metric is {self._config.metric!r}, but an '
          f'evaluation has {", ".join(sorted(logs))}.')
    self._values[step] = float(logs[self._config.metric])
    return self._reason()

  def _reason(self) -> str | None:
    config = self._config
    if not self._values:
      return None
    record = find_best(
        self._values, config.metric.endswith('loss'), config.min_delta)
    if record.num_since < config.patience_evaluations:
      return None
    return (f'{config.metric} was best at step {record.best_step} '
            f'({record.best_value:.4g}), and no better in '
            f'{tables.counted(record.num_since, "evaluation")} since '
            '(trainer.early_stopping.patience_evaluations)')
