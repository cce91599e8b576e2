"""What Model Garden's optimizers and schedules cannot do, said before a start.

Model Garden takes these settings, and fails once the model is built, or trains
on a learning rate that is no number.
"""

from __future__ import annotations

import math
from typing import Any

from absl import logging
from official.modeling import optimization
from official.modeling.optimization import optimizer_factory
from official.modeling.optimization.configs import learning_rate_config
import tf_keras

_PATH = 'trainer.optimizer_config'
# Beyond, nothing is left of the weights after a step.
MAX_LEARNING_RATE = 1_000
# So many steps of the whole run are looked at, besides those at the ends of the
# parts of a schedule, between which it only rises or only falls.
_NUM_BETWEEN = 8
# May be unset; what else is None in a schedule or a warm-up has no default.
_OPTIONAL = ('staircase',)


def check(config: optimization.OptimizationConfig, train_steps: int) -> None:
  """Refuses an optimizer, a schedule or a warm-up that cannot run.

  Args:
    config: the optimization settings, their steps derived.
    train_steps: the steps of the training.

  Raises:
    ValueError: naming the setting, why it cannot run and what to type instead.
  """
  _check_optimizer(config)
  for name in ('learning_rate', 'warmup'):
    _check_values(name, getattr(config, name))
  if config.learning_rate.type == 'step_cosine_with_offset':
    _check_step_cosine(config.learning_rate.get(), train_steps)
  if config.learning_rate.type == 'power_with_offset':
    _check_power(config.learning_rate.get(), config.warmup.get())
  if config.learning_rate.type == 'polynomial':
    _check_cycle(config.learning_rate.get(), config.warmup.get())


def check_learning_rates(config: optimization.OptimizationConfig,
                         train_steps: int) -> None:
  """Refuses a schedule that leaves what a learning rate can be in a run.

  One that is 0 in the whole run is warned of: a trial run may not care.

  It asks Model Garden's own schedule, and so runs operations of TensorFlow:
  a strategy of several workers must have been built.

  Args:
    config: the optimization settings, checked and with their steps derived.
    train_steps: the steps of the training.

  Raises:
    ValueError: naming the first such step and what to type instead.
  """
  rate = optimizer_factory.OptimizerFactory(config).build_learning_rate()
  if not callable(rate):  # A constant, whose field is checked.
    return
  kind, schedule = config.learning_rate.type, config.learning_rate.get()
  largest = 0.0
  for step in _telling_steps(config, train_steps):
    found = float(rate(step))
    largest = max(largest, found)
    if math.isfinite(found) and 0 <= found <= MAX_LEARNING_RATE:
      continue
    path = f'{_PATH}.learning_rate.{kind}'
    offset, warmup_steps = _offset(config), _warmup_steps(config.warmup.get())
    advice = (
        f'Set {path}.offset=0, or a warm-up of {offset} steps' if
        warmup_steps <= step < offset else
        'Change its settings: ' + ', '.join(
            f'{name}={value}' for name, value in schedule.as_dict().items()
            if name != 'name'))
    raise ValueError(
        f'{path} makes the learning rate {found:g} at step {step}, but it must '
        f'be a number of 0 to {MAX_LEARNING_RATE:,} in the whole run of '
        f'{train_steps} steps. {advice}.')
  # A run of one step is a trial: any warm-up from 0 has that rate in it.
  if not largest and train_steps > 1:
    logging.warning('%s', _nothing_learned(config, train_steps))


def _nothing_learned(config: optimization.OptimizationConfig,
                     train_steps: int) -> str:
  """Says why a learning rate is 0 in the whole run, and what to type."""
  said = (f'{_PATH} makes the learning rate 0 at each of the {train_steps} '
          'steps (trainer.train_steps): nothing will be learned.')
  warmup_steps = _warmup_steps(config.warmup.get())
  if warmup_steps < train_steps:
    return (f'{said} Change the settings of {_PATH}.learning_rate.'
            f'{config.learning_rate.type}.')
  # The warm-up leads to what the schedule has decayed to at its end.
  return (f'{said} The warm-up takes {warmup_steps}: set '
          f'{_PATH}.warmup.{config.warmup.type}.warmup_steps='
          f'{train_steps // 10}, for example, or train longer.')


def _telling_steps(config: optimization.OptimizationConfig,
                   train_steps: int) -> list[int]:
  """Returns steps of the run, among them the ends of a schedule's parts."""
  schedule, offset = config.learning_rate.get(), _offset(config)
  lengths = [getattr(schedule, name, None) or 0
             for name in ('decay_steps', 'total_decay_steps')]
  ends = [_warmup_steps(config.warmup.get()), *(
      offset + step for step in (
          0, *lengths, *(getattr(schedule, 'boundaries', None) or ())))]
  steps = {end + by for end in ends for by in (-1, 0, 1)}
  steps |= {(train_steps - 1) * part // _NUM_BETWEEN
            for part in range(_NUM_BETWEEN + 1)}
  return sorted(step for step in steps if 0 <= step < train_steps)


def _offset(config: optimization.OptimizationConfig) -> int:
  return getattr(config.learning_rate.get(), 'offset', 0)


def _warmup_steps(warmup: Any) -> int:
  return warmup.warmup_steps if warmup else 0


def _check_optimizer(config: optimization.OptimizationConfig) -> None:
  # A text stands for what Model Garden has not implemented.
  found = optimizer_factory.LEGACY_OPTIMIZERS_CLS
  runs = [name for name in vars(config.optimizer)
          if isinstance(found.get(name), type)]
  kind = config.optimizer.type
  if isinstance(found.get(kind), str):
    raise ValueError(
        f'{_PATH}.optimizer.type is {kind!r}, which Model Garden has not '
        f'published. Choose one of {", ".join(runs)}.')
  if config.ema is None or kind not in runs:
    return
  with_average = [name for name in runs if _is_legacy(found[name])]
  if kind not in with_average:
    raise ValueError(
        f'{_PATH}.ema averages the weights of optimizers of the former Keras '
        f'interface alone, and {_PATH}.optimizer.type is {kind!r}. Set '
        f'{_PATH}.ema=null, or choose one of {", ".join(with_average)}.')
  # Its variables are 0, and take on the weights in the steps before the start,
  # counted from 1.
  if not config.ema.dynamic_decay and config.ema.start_step < 2:
    raise ValueError(
        f'{_PATH}.ema.dynamic_decay is false and start_step '
        f'{config.ema.start_step}, so that the average would begin at 0, and '
        f'not at the weights. Set {_PATH}.ema.start_step=2, or '
        'dynamic_decay=true.')


def _is_legacy(optimizer: type) -> bool:
  return issubclass(optimizer, tf_keras.optimizers.legacy.Optimizer)


def _check_values(name: str, choice: Any) -> None:
  """Refuses a schedule that lacks a value."""
  chosen = choice.get()
  if chosen is None:
    return
  for key, value in chosen.as_dict().items():
    if value is None and key not in _OPTIONAL:
      raise ValueError(
          f'{_PATH}.{name}.type is {choice.type!r}, but '
          f'{_PATH}.{name}.{choice.type}.{key} is not set. Set it.')


def _check_step_cosine(
    schedule: learning_rate_config.StepCosineLrConfig,
    train_steps: int) -> None:
  """Refuses a schedule that divides by 0 before the training ends."""
  end = schedule.boundaries[-1] + schedule.offset
  if end <= train_steps:
    raise ValueError(
        f'{_PATH}.learning_rate.step_cosine_with_offset.boundaries end at step '
        f"{end}, from which on Model Garden's learning rate is no number, and "
        f'the training takes {train_steps} steps. End them at '
        f'{train_steps - schedule.offset + 1} or later.')


def _check_power(
    schedule: learning_rate_config.PowerDecayWithOffsetLrConfig,
    warmup: Any) -> None:
  """Refuses the cap of Model Garden as the learning rate of the first steps."""
  default = learning_rate_config.PowerDecayWithOffsetLrConfig()
  if (schedule.pre_offset_learning_rate == default.pre_offset_learning_rate and
      _warmup_steps(warmup) <= schedule.offset):
    raise ValueError(
        f'{_PATH}.learning_rate.power_with_offset.pre_offset_learning_rate is '
        f'{schedule.pre_offset_learning_rate:g}, which is the learning rate up '
        f'to step {schedule.offset}. Set it to about '
        f'{schedule.initial_learning_rate}, or a warm-up of more than '
        f'{schedule.offset} steps.')


def _check_cycle(schedule: learning_rate_config.PolynomialLrConfig,
                 warmup: Any) -> None:
  """Refuses cycles before the first, which Model Garden divides by 0 in."""
  if schedule.cycle and schedule.offset > _warmup_steps(warmup):
    path = f'{_PATH}.learning_rate.polynomial'
    raise ValueError(
        f'{path}.cycle is true, but {path}.offset is {schedule.offset}, up to '
        "which Model Garden's learning rate is no number, and the warm-up has "
        f'{_warmup_steps(warmup)} steps. Set {path}.offset=0, or a warm-up of '
        f'{schedule.offset} steps.')
