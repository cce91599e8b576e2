"""A TensorBoard profile of a few training steps.

It is taken once per run, within one loop, so that no evaluation, summary or
checkpoint begins in it. The steps run one by one: where a `tf.while_loop` runs
them, TensorBoard takes its iterations for the steps, and on a CPU it then finds
none at all. So they are a function of their own, which compiles anew and draws
other random numbers than the loop would have.
"""

from __future__ import annotations

from collections.abc import Callable
import os
import shlex
from typing import Any

from absl import logging
from official.core import config_definitions as cfg
import tensorflow as tf

from official_ext.command_line import errors
from official_ext.training import modes

# Steps before the profile: the first one compiles, and the next ones are fed
# from buffers that filled meanwhile.
WARM_UP_STEPS = 5
# Of the marks from which TensorBoard knows where a step begins and ends.
STEP_NAME = 'train'


class Profiler:
  """Says which steps of a run are profiled, and runs them so."""

  def __init__(self, model_dir: str, num_steps: int, train_steps: int):
    """Initialises the profiler; it writes nothing yet.

    Args:
      model_dir: folder of the run; the profile goes below its `train`, where
        TensorBoard has the summaries of the training.
      num_steps: how many steps to profile.
      train_steps: where the training ends.
    """
    self._model_dir = model_dir
    self._log_dir = os.path.join(model_dir, 'train')
    self._num_steps = num_steps
    self._train_steps = train_steps
    self._has_run = False

  def chunk(self, step: int, remaining: int) -> int:
    """Chooses how many steps of a loop come next with a profile.

    A loop that holds all steps asked for is better than a long warm-up. Where
    the run has none, it is the longest of what is left.

    Args:
      step: steps that the model has taken, the first of the run included.
      remaining: steps left in this loop, at least one.

    Returns:
      How many steps to give to `run`; 0: run on without a profile.
    """
    in_later_loops = self._train_steps - step - remaining
    if self._has_run or remaining < 2:
      return 0
    if remaining <= self._num_steps and in_later_loops > remaining:
      return 0
    return min(remaining, WARM_UP_STEPS + self._num_steps)

  def run(self, run_step: Callable[[], None],
          read_result: Callable[[], tf.Tensor], step: int,
          num_steps: int) -> str | None:
    """Runs steps, the last of them with the profiler on.

    What goes wrong with the profile is a warning: the training goes on.

    Args:
      run_step: runs one training step; what it raises comes through, and then
        nothing is written.
      read_result: computes what only a device that has finished all steps
        knows, so that no step is under way where the profile begins and ends.
      step: steps that the model has taken.
      num_steps: how many to run, at least two, since the first one compiles.

    Returns:
      A line that says where the profile is and how to open it; None if there
      is none.
    """
    self._has_run = True
    num_profiled = min(num_steps - 1, self._num_steps)
    last = step + num_steps
    first = last - num_profiled + 1
    for _ in range(step + 1, first):
      run_step()
    read_result().numpy()
    before = self._written()
    is_on = False
    try:
      is_on = _succeeds(
          'cannot start', tf.profiler.experimental.start, self._log_dir)
      for number in range(first, last + 1):
        with tf.profiler.experimental.Trace(STEP_NAME, step_num=number, _r=1):
          run_step()
      read_result().numpy()
    except BaseException:  # Ctrl-C too.
      if is_on:
        self._stop(save=False)
      raise
    if not is_on or not self._stop(save=True):
      return None
    new = sorted(self._written() - before)
    if not new:
      logging.warning(
          'The profiler of TensorFlow wrote no file below %s/plugins/profile. '
          'Is the disk full?', self._log_dir)
      return None
    fewer = ('' if num_profiled == self._num_steps else
             f' ({num_profiled}, not {self._num_steps}: no more were left)')
    # In this environment the plugin would replace protobuf and others.
    return (f'profile of steps {first} to {last}{fewer} in '
            f'{os.path.dirname(new[-1])}; to open it: tensorboard '
            f'--logdir={shlex.quote(self._model_dir)} in an environment of its '
            'own, after pip install tensorboard tensorboard-plugin-profile')

  def end(self) -> None:
    """Warns at the end of the training if nothing was profiled."""
    if not self._has_run:
      logging.warning(
          'Nothing was profiled: a profile takes at least 3 steps, and 2 of '
          'them compile. Raise trainer.train_steps, or choose another '
          '--model_dir.')

  def _stop(self, save: bool) -> bool:
    return _succeeds('cannot write its profile', tf.profiler.experimental.stop,
                     save=save)

  def _written(self) -> set[str]:
    """Returns the profiles in the folder, of earlier runs too."""
    # Not a glob: the path may hold a bracket.
    root = os.path.join(self._log_dir, 'plugins', 'profile')
    try:
      return {os.path.join(folder, name)
              for folder, _, names in tf.io.gfile.walk(root)
              for name in names if name.endswith('.xplane.pb')}
    except tf.errors.OpError:
      return set()


def check(params: cfg.ExperimentConfig, mode: str, num_steps: int) -> None:
  """Finds what cannot be profiled.

  Args:
    params: the experiment's configuration.
    mode: what the run does, such as 'train'.
    num_steps: how many steps to profile.

  Raises:
    ValueError: naming the value, what was expected and what to type instead.
  """
  if not modes.trains(mode):
    raise ValueError(
        f'--profile: --mode={mode} has no training step to profile. Leave '
        '--profile out, or use --mode=train.')
  # Where several workers train, a loop cannot be cut on one of them alone.
  strategy = params.runtime.distribution_strategy
  if str(strategy).lower() == 'multi_worker_mirrored':
    raise ValueError(
        f'--profile: runtime.distribution_strategy={strategy} cannot be '
        'profiled. Leave --profile out, or profile one machine with '
        'runtime.distribution_strategy=mirrored.')
  intervals = {name: getattr(params.trainer, name)
               for name in ('steps_per_loop', 'checkpoint_interval')}
  if modes.evaluates(mode):
    intervals['validation_interval'] = params.trainer.validation_interval
  name = min(intervals, key=intervals.get)
  # The step before the profile compiles.
  most = intervals[name] - 1
  if num_steps > most:
    lower = f'Lower it to {most}, or raise' if most else 'Raise'
    raise ValueError(
        f'--profile_steps={num_steps}: must be less than trainer.{name}='
        f'{intervals[name]}, since a profile is taken between two summaries, '
        f'checkpoints or evaluations. {lower} trainer.{name}.')


def _succeeds(what: str, call: Callable[..., None], *args: Any,
              **kwargs: Any) -> bool:
  """Returns whether a call of the profiler succeeds, and warns if not."""
  try:
    call(*args, **kwargs)
  except Exception as error:  # A profile is not worth a training.
    logging.warning(
        'The profiler of TensorFlow %s: %s. This run has no profile.', what,
        errors.reason(error))
    return False
  return True
