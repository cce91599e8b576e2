"""Where settings of optimizers, averages and schedules have no effect."""

from __future__ import annotations

from official.core import config_definitions as cfg

from official_ext.params.unread import reasons

_PATH = 'trainer.optimizer_config'
_RATE = f'{_PATH}.learning_rate'


def _has_schedule(params: cfg.ExperimentConfig) -> bool:
  config = params.trainer.optimizer_config
  return config.learning_rate.type != 'constant' or config.warmup.type


def _averages_nothing(params: cfg.ExperimentConfig) -> bool:
  trainer = params.trainer
  return trainer.optimizer_config.ema.start_step > trainer.train_steps


def _never_looks_back(params: cfg.ExperimentConfig) -> bool:
  trainer = params.trainer
  optimizer = trainer.optimizer_config.optimizer.radam_lookahead
  return optimizer.sync_period > trainer.train_steps


def _stays_on_the_first_stair(params: cfg.ExperimentConfig) -> bool:
  trainer = params.trainer
  schedule = trainer.optimizer_config.learning_rate.exponential
  return bool(schedule.staircase and
              schedule.decay_steps >= trainer.train_steps)


TABLE: tuple[reasons.Rule, ...] = (
    reasons.never(f'the learning rate is that of {_RATE}',
                  f'{_PATH}.optimizer.adafactor_keras.learning_rate'),
    reasons.never(
        'gradients are clipped by the optimizer alone, not by the average',
        *(f'{_PATH}.ema.{name}' for name in (
            'clipnorm', 'clipvalue', 'global_clipnorm'))),
    reasons.never('a constant has no name', f'{_RATE}.constant.name'),
    # The optimizers.
    reasons.where(
        _has_schedule, 'it is for a constant learning rate without warm-up',
        f'{_PATH}.optimizer.adafactor_keras.relative_step'),
    reasons.beside(
        lambda optimizer: not optimizer.momentum, 'momentum is 0',
        f'{_PATH}.optimizer.*.nesterov',
        f'{_PATH}.optimizer.lars.classic_momentum'),
    reasons.beside(
        lambda optimizer: not getattr(optimizer, 'weight_decay_rate', None),
        'weight_decay_rate is 0, so nothing decays',
        f'{_PATH}.optimizer.*.include_in_weight_decay',
        f'{_PATH}.optimizer.*.exclude_from_weight_decay'),
    reasons.beside(
        lambda optimizer: not getattr(
            optimizer, 'exclude_from_weight_decay', None),
        'it wins over exclude_from_weight_decay, which is empty, so everything '
        'decays anyway', f'{_PATH}.optimizer.*.include_in_weight_decay'),
    reasons.beside(
        lambda optimizer: optimizer.layer_decay == 1, 'layer_decay is 1, so '
        'every layer has the same learning rate',
        f'{_PATH}.optimizer.*_layerwise.num_layers'),
    reasons.beside(
        lambda optimizer: optimizer.slow_step_size == 1, 'slow_step_size is 1, '
        'so the slow weights are the fast ones',
        f'{_PATH}.optimizer.radam_lookahead.sync_period'),
    reasons.where(
        _never_looks_back, 'sync_period is longer than the run',
        f'{_PATH}.optimizer.radam_lookahead.sync_period',
        f'{_PATH}.optimizer.radam_lookahead.slow_step_size'),
    # The average of the weights.
    reasons.where(
        _averages_nothing, 'the run ends before ema.start_step, and until then '
        'the average is the weights themselves', f'{_PATH}.ema.*'),
    reasons.beside(
        lambda ema: not ema.average_decay, 'average_decay is 0, so the average '
        f'is the weights themselves. Set {_PATH}.ema=null', f'{_PATH}.ema.*'),
    # The schedules.
    reasons.beside(
        lambda schedule: schedule.decay_rate == 1, 'decay_rate is 1, so the '
        'learning rate stays what it is', *(
            f'{_RATE}.exponential.{name}' for name in (
                'decay_steps', 'staircase', 'offset'))),
    reasons.where(
        _stays_on_the_first_stair, 'the run ends before the first stair, of '
        'decay_steps', f'{_RATE}.exponential.decay_rate'),
    reasons.beside(
        lambda schedule: not schedule.power, 'power is 0, so the learning rate '
        'stays what it is', *(
            f'{_RATE}.polynomial.{name}' for name in (
                'decay_steps', 'end_learning_rate', 'cycle', 'offset'))),
    reasons.beside(
        lambda schedule: schedule.alpha == 1, 'alpha is 1, so the learning '
        'rate stays what it is', f'{_RATE}.cosine.decay_steps',
        f'{_RATE}.cosine.offset'),
    reasons.beside(
        lambda schedule: not schedule.linear_decay_fraction,
        'linear_decay_fraction is 0, so the decay has no end',
        f'{_RATE}.power_linear.total_decay_steps'),
    reasons.beside(
        lambda warmup: not warmup.warmup_steps, 'warmup_steps is 0',
        f'{_PATH}.warmup.*.warmup_learning_rate', f'{_PATH}.warmup.*.power'),
)
