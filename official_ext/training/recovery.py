"""Goes back to a good checkpoint when a training has diverged."""

from __future__ import annotations

from collections.abc import Sequence

from official.core import config_definitions as cfg
import tensorflow as tf

from official_ext.training import divergence

# What `message` begins with, by which others know it.
DIVERGED = 'the training diverged: '
# What the schedules call the learning rate that they begin with.
_RATES = ('initial_learning_rate', 'learning_rate', 'values')


class Recovered:
  """What every checkpoint knows of the recoveries before it.

  Attributes:
    saved: to be saved with the checkpoints.
  """

  def __init__(self):
    self._count = tf.Variable(0, dtype=tf.int64, trainable=False)
    self._skipped = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.saved = tf.train.Checkpoint(
        count=self._count, skipped_batches=self._skipped)

  @property
  def count(self) -> int:
    """How often the training has gone back."""
    return int(self._count.numpy())

  @property
  def skipped_batches(self) -> int:
    """How many batches were read whose steps do not count."""
    return int(self._skipped.numpy())

  def add(self, count: int, skipped_batches: int) -> None:
    """Notes a recovery, once the checkpoint is restored."""
    self._count.assign(count)
    self._skipped.assign(skipped_batches)


def message(params: cfg.ExperimentConfig,
            diverged: divergence.DivergenceError, checkpoints: Sequence[str],
            recoveries: int) -> str:
  """Says why a training has stopped, and what to try.

  Args:
    params: the experiment's configuration.
    diverged: what was found.
    checkpoints: their prefixes.
    recoveries: how often the training went back before.

  Returns:
    The message, on one line.
  """
  good = newest_until(checkpoints, diverged.good_steps)
  proven = newest_until(checkpoints, diverged.proven_steps)
  where = (f'The last good checkpoint is {good}' if good else
           'There is no good checkpoint to go back to yet')
  if proven != good:
    where += (', whose very first step this was' +
              (f'; before it there is {proven}' if proven else ''))
  max_trials = params.trainer.recovery_max_trials
  if recoveries:
    where = (f'It went back {recoveries} times already '
             f'(trainer.recovery_max_trials={max_trials}). {where}')
  schedule = params.trainer.optimizer_config.learning_rate
  rate = next(name for name in _RATES if hasattr(schedule.get(), name))
  advice = (f'Lower trainer.optimizer_config.learning_rate.{schedule.type}.'
            f'{rate}, lengthen the warm-up, or clip gradients')
  if good:
    advice += ', and add --allow_changes to go on from there'
  if max_trials < 1:
    advice += ('; trainer.recovery_max_trials=3 goes back by itself, and skips '
               'these batches')
  if params.runtime.mixed_precision_dtype == 'float16':
    advice += ('; runtime.mixed_precision_dtype=bfloat16 has the range that '
               'float16 lacks')
  return f'{DIVERGED}{diverged}. {where}. {advice}.'


def newest_until(checkpoints: Sequence[str], step: int) -> str | None:
  """Returns the newest of checkpoints, none of more than so many steps.

  Args:
    checkpoints: their prefixes, which end in their steps.
    step: of the newest that is taken.

  Returns:
    Its prefix; None if there is none.
  """
  steps = {int(prefix.rsplit('-', maxsplit=1)[1]): prefix
           for prefix in reversed(checkpoints)}
  return steps.get(max((one for one in steps if one <= step), default=-1))
