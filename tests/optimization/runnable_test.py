"""Every optimizer, schedule and warm-up of the registry, under every strategy.

Each takes three steps on two variables, and the learning rates are those of the
formulas here. A new one without a formula fails.
"""

import itertools
import math
import types

import models
import numpy as np
from official.common import distribute_utils
from official.core import task_factory
from official.modeling import hyperparams
from official.modeling.optimization import optimizer_factory
import proofs
import pytest
import short_runs
import tensorflow as tf
import tf_keras

from official_ext.configs import image_classification
from official_ext.optimization import addons
from official_ext.optimization import runnable
from official_ext.params import experiment

STEPS = 3
PEAK = 0.1
CONFIG = 'trainer.optimizer_config'

# Settings of each schedule, and its learning rate at step 0, 1 and 2.
SCHEDULES = {
    'constant': ({'learning_rate': PEAK}, [PEAK] * STEPS),
    'stepwise': ({'boundaries': [1, 2], 'values': [PEAK, 0.05, 0.01]},
                 # A boundary is the last step of its value.
                 [PEAK, PEAK, 0.05]),
    'exponential': ({'decay_rate': 0.5, 'decay_steps': STEPS},
                    [PEAK * 0.5 ** (step / STEPS) for step in range(STEPS)]),
    'polynomial': ({'end_learning_rate': 0.01, 'power': 2.0,
                    'decay_steps': STEPS},
                   [0.09 * (1 - step / STEPS) ** 2 + 0.01
                    for step in range(STEPS)]),
    'cosine': ({'decay_steps': STEPS},
               [PEAK * (1 + math.cos(math.pi * step / STEPS)) / 2
                for step in range(STEPS)]),
    # Step 0 counts as 1.
    'power': ({}, [PEAK, PEAK, PEAK / math.sqrt(2)]),
    'power_linear': ({'linear_decay_fraction': 1.0, 'total_decay_steps': STEPS},
                     [PEAK, PEAK * 2 / 3, PEAK / math.sqrt(2) / 3]),
    'power_with_offset': ({'pre_offset_learning_rate': PEAK},
                          [PEAK, PEAK, PEAK / math.sqrt(2)]),
    'step_cosine_with_offset': (
        {'boundaries': [0, 4], 'values': [PEAK, 0.02]},
        [0.08 * (1 + math.cos(math.pi * step / 4)) / 2 + 0.02
         for step in range(STEPS)]),
}
# Two steps of warm-up: its share of what the schedule has at step 2.
WARMUPS = {
    None: ({}, []),
    'linear': ({'warmup_steps': 2}, [0, 1 / 2]),
    'polynomial': ({'warmup_steps': 2, 'power': 2.0}, [1 / 4, 1 / 4]),
}
# Not on this line of TensorFlow, or not published.
REFUSED = {'slide', 'adafactor'} | {
    name for name in addons.CONFIGS
    if name not in optimizer_factory.LEGACY_OPTIMIZERS_CLS}


def offered(choice):
  """The names that a one-of offers."""
  return [name for name, value in vars(choice).items()
          if isinstance(value, hyperparams.Config)]


OFFERED = image_classification.OptimizationConfig()
OPTIMIZERS = [name for name in offered(OFFERED.optimizer)
              if name not in REFUSED]
STRATEGIES = ('mirrored', 'two_replicas', 'one_device', 'off',
              'multi_worker_mirrored')


def strategy(name):
  if name == 'two_replicas':
    return models.mirrored(2)
  return distribute_utils.get_distribution_strategy(name)


class _Null:
  """None, as an override spells it."""

  def __repr__(self):
    return 'null'


NULL = _Null()


def values_of(schedule):
  values, _ = SCHEDULES[schedule]
  if schedule in ('constant', 'stepwise', 'step_cosine_with_offset'):
    return values
  return {'initial_learning_rate': PEAK, **values}


def settings(optimizer, schedule, warmup):
  """The settings of an experiment, as a user gives them."""
  return {
      f'{CONFIG}.optimizer.type': optimizer,
      f'{CONFIG}.learning_rate.type': schedule,
      f'{CONFIG}.warmup.type': warmup or NULL,
      'trainer.train_steps': STEPS,
      **{f'{CONFIG}.learning_rate.{schedule}.{name}': value
         for name, value in values_of(schedule).items()},
      **{f'{CONFIG}.warmup.{warmup}.{name}': value
         for name, value in WARMUPS[warmup][0].items()}}


def load(*choice, **others):
  return experiment.load('funnel_vit_digits', params_override=','.join(
      f'{key}={value!r}' for key, value in (
          settings(*choice) | others).items()))


def build(optimizer, schedule, warmup):
  """Builds an optimizer as Model Garden does."""
  config = image_classification.OptimizationConfig({
      'optimizer': {'type': optimizer},
      'learning_rate': {'type': schedule, schedule: values_of(schedule)},
      'warmup': {'type': warmup, **({warmup: WARMUPS[warmup][0]}
                                    if warmup else {})}})
  if optimizer.endswith('layerwise'):
    config.optimizer.get().num_layers = 1
  runnable.check(config, STEPS)
  factory = optimizer_factory.OptimizerFactory(config)
  return factory.build_optimizer(factory.build_learning_rate())


def learning_rates(schedule, warmup):
  _, rates = SCHEDULES[schedule]
  _, shares = WARMUPS[warmup]
  return [share * rates[2] for share in shares] + rates[len(shares):]


def steps(optimizer, schedule, warmup, scope, graph):
  """Takes three steps; returns the learning rates and what became of ones."""
  with scope.scope():
    variables = [tf.Variable(tf.ones([4, 3]), name='layer_1/kernel'),
                 tf.Variable(tf.ones([3]), name='layer_1/bias')]
    built = build(optimizer, schedule, warmup)

  def step():
    scope.run(lambda: built.apply_gradients(
        [(tf.ones_like(variable), variable) for variable in variables]))

  step = tf.function(step) if graph else step
  rates = []
  for index in range(STEPS):
    rate = built.learning_rate
    rate = rate(index) if callable(rate) else rate
    # Keras' newer optimizers hold the rate of the step that they took last.
    step()
    if not isinstance(built, tf_keras.optimizers.legacy.Optimizer):
      rate = built.learning_rate
    rates.append(float(tf.convert_to_tensor(rate)))
  return rates, [variable.numpy() for variable in variables]


def check(optimizer, schedule, warmup, scope, graph=False):
  expected = learning_rates(schedule, warmup)
  rates, variables = steps(optimizer, schedule, warmup, scope, graph)
  assert rates == pytest.approx(expected, rel=1e-5), (
      optimizer, schedule, warmup, scope)
  for variable in variables:
    assert np.isfinite(variable).all() and (variable < 1).all(), (
        optimizer, schedule, warmup, scope)
    if optimizer == 'sgd':
      np.testing.assert_allclose(
          variable, 1 - scope.num_replicas_in_sync * sum(expected), rtol=1e-5)


def test_nothing_that_is_offered_is_left_out():
  assert set(SCHEDULES) == set(offered(OFFERED.learning_rate))
  assert set(WARMUPS) == {None, *offered(OFFERED.warmup)}
  assert REFUSED <= set(offered(OFFERED.optimizer))


@pytest.mark.slow
def test_every_schedule_warmup_optimizer_and_strategy_takes_three_steps():
  scopes = itertools.cycle([strategy(name) for name in STRATEGIES])
  optimizers = itertools.cycle(['sgd', *OPTIMIZERS])
  for schedule, warmup in itertools.product(SCHEDULES, WARMUPS):
    check(next(optimizers), schedule, warmup, next(scopes))
    rates_of(schedule, warmup)


@pytest.mark.long
@pytest.mark.parametrize('name', STRATEGIES)
def test_every_combination_takes_three_steps(name):
  scope = strategy(name)
  schedules = proofs.choose(
      ['constant', 'stepwise', 'cosine'], list(SCHEDULES))
  warmups = proofs.choose([None, 'linear'], list(WARMUPS))
  for choice in itertools.product(OPTIMIZERS, schedules, warmups):
    check(*choice, scope, graph=True)


@pytest.mark.long
@pytest.mark.parametrize('name, optimizer', [
    ('mirrored', 'adam_experimental'), ('one_device', 'sgd'),
    ('off', 'adafactor_keras'), ('multi_worker_mirrored', 'lamb')])
def test_whole_runs(digits_dir, tmp_path, name, optimizer):
  trainer = short_runs.train(
      digits_dir, tmp_path, **settings(optimizer, 'constant', None), **{
          'runtime.distribution_strategy': name})
  assert int(trainer.global_step.numpy()) == STEPS
  assert trainer.train_logs['learning_rate'] == pytest.approx(PEAK)
  assert np.isfinite(trainer.train_logs['training_loss'])


@pytest.mark.parametrize('optimizer', sorted(REFUSED - set(addons.CONFIGS)))
def test_an_optimizer_that_is_not_published(optimizer):
  with pytest.raises(ValueError, match=(
      f"^{CONFIG}.optimizer.type is '{optimizer}', which Model Garden has not "
      'published. Choose one of sgd, .*adafactor_keras')):
    load(optimizer, 'cosine', None)


def test_averaged_weights_need_an_optimizer_of_the_former_interface():
  average = {f'{CONFIG}.ema.average_decay': 0.9}
  with pytest.raises(ValueError, match=(
      f"{CONFIG}.optimizer.type is 'adamw_experimental'. Set {CONFIG}.ema=null,"
      ' or choose one of sgd, adam, adamw, lamb')):
    load('adamw_experimental', 'cosine', None, **average)
  load('adamw', 'cosine', None, **average)


@pytest.mark.parametrize('schedule, warmup, unset', [
    ('exponential', None, 'learning_rate.exponential.decay_rate'),
    ('cosine', None, 'learning_rate.cosine.initial_learning_rate'),
    ('stepwise', None, 'learning_rate.stepwise.boundaries'),
    ('cosine', 'polynomial', 'warmup.polynomial.warmup_steps')])
def test_a_schedule_that_lacks_a_value(schedule, warmup, unset):
  with pytest.raises(ValueError, match=f'{CONFIG}.{unset} is not set'):
    load('sgd', schedule, warmup, **{
        f'{CONFIG}.{unset}': NULL})


def test_a_schedule_that_would_divide_by_zero():
  key = f'{CONFIG}.learning_rate.step_cosine_with_offset.boundaries'
  with pytest.raises(ValueError, match=(
      'boundaries end at step 3, .* takes 3 steps. End them at 4 or later')):
    load('sgd', 'step_cosine_with_offset', None, **{key: [0, 3]})


def rates_of(schedule, warmup=None, **others):
  trainer = load('sgd', schedule, warmup, **{
      f'{CONFIG}.learning_rate.{schedule}.{name}': value
      for name, value in others.items()}).trainer
  runnable.check_learning_rates(trainer.optimizer_config, trainer.train_steps)


def test_cycles_before_the_first():
  key = f'{CONFIG}.learning_rate.polynomial'
  with pytest.raises(ValueError, match=(
      f'^{key}.cycle is true, but {key}.offset is 3, up to which .* no number, '
      f'and the warm-up has 2 steps. Set {key}.offset=0, or a warm-up of 3')):
    rates_of('polynomial', 'linear', cycle=True, offset=3)
  rates_of('polynomial', 'linear', cycle=True, offset=2)


@pytest.mark.parametrize('schedule, settings, message', [
    # 0.1 - 0.09 * (1 + 2 / 1) ** 2 at the step before the last of the offset.
    ('polynomial', {'initial_learning_rate': 0.01, 'end_learning_rate': 0.1,
                    'decay_steps': 1, 'offset': 2}, '-0.71 at step 0, but'),
    ('exponential', {'decay_rate': 1000.0, 'decay_steps': 1},
     '100000 at step 2, but it must be a number of 0 to 1,000 in the whole '
     'run of 3 steps. Change its settings: initial_learning_rate=0.1, decay_'),
    ('exponential', {'decay_rate': 1e-6, 'decay_steps': 1, 'offset': 60},
     f'inf at step 0, .* Set {CONFIG}.learning_rate.exponential.offset=0, or a '
     'warm-up of 60 steps'),
    # 0.1 * 2 ** 100 at step 2.
    ('power', {'power': 100.0}, r'1.26765e\+29 at step 2'),
])
def test_learning_rates_that_are_none(schedule, settings, message):
  with pytest.raises(ValueError, match=(
      f'^{CONFIG}.learning_rate.{schedule} makes the learning rate {message}')):
    rates_of(schedule, **settings)


def test_the_learning_rate_is_scaled_within_its_bound():
  scaling = {'trainer.learning_rate_scaling': 'linear',
             'trainer.reference_batch_size': 1,
             'task.train_data.global_batch_size': 10}
  key = f'{CONFIG}.learning_rate.cosine.initial_learning_rate'
  with pytest.raises(ValueError, match=(
      '^trainer.learning_rate_scaling is linear, which makes of the learning '
      r'rate 101 at a batch of 1 \(trainer.reference_batch_size\) 1010 at one '
      'of 10, but it may be at most 1,000')):
    load('sgd', 'cosine', None, **scaling, **{key: 101.0})
  params = load('sgd', 'cosine', None, **scaling, **{key: 99.0})
  rate = params.trainer.optimizer_config.learning_rate.get()
  assert rate.initial_learning_rate == 990


@pytest.mark.parametrize('schedule, beside', [
    ('polynomial', 'end_learning_rate'),
    ('power_with_offset', 'pre_offset_learning_rate')])
def test_every_learning_rate_is_scaled(schedule, beside):
  key = f'{CONFIG}.learning_rate.{schedule}'
  settings = {
      f'{key}.initial_learning_rate': 0.1, f'{key}.{beside}': 0.01,
      f'{key}.power': 1.0, 'trainer.learning_rate_scaling': 'linear',
      f'{CONFIG}.warmup.linear.warmup_learning_rate': 0.001,
      f'{CONFIG}.warmup.linear.warmup_steps': 2,
      'trainer.reference_batch_size': 8, 'task.train_data.global_batch_size': 4}
  config = load('sgd', schedule, 'linear', **settings).trainer.optimizer_config
  rate = config.learning_rate.get()
  assert [rate.initial_learning_rate, getattr(rate, beside),
          config.warmup.linear.warmup_learning_rate] == [0.05, 0.005, 0.0005]


def test_a_cap_that_would_be_the_first_learning_rate():
  key = f'{CONFIG}.learning_rate.power_with_offset'
  cap = {f'{key}.pre_offset_learning_rate': 1_000_000.0}
  with pytest.raises(ValueError, match=(
      r'pre_offset_learning_rate is 1e\+06, which is the learning rate up to '
      'step 0. Set it to about 0.1, or a warm-up of more than 0 steps')):
    load('sgd', 'power_with_offset', None, **cap)
  load('sgd', 'power_with_offset', 'linear', **cap)


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_every_schedule_is_taken_from_a_person(schedule):
  trainer = load('sgd', schedule, 'polynomial').trainer
  assert trainer.optimizer_config.learning_rate.type == schedule


def test_the_steps_of_every_decay_are_derived():
  steps_key = f'{CONFIG}.learning_rate.power_linear.total_decay_steps'
  params = load('sgd', 'power_linear', None, **{steps_key: NULL})
  schedule = params.trainer.optimizer_config.learning_rate.get()
  assert schedule.total_decay_steps == STEPS


def average_after_a_step(**ema):
  """The average of ones that a step of a learning rate of 0 leaves as such."""
  config = image_classification.OptimizationConfig({
      'optimizer': {'type': 'sgd'}, 'ema': {'average_decay': 0.75, **ema},
      'learning_rate': {'type': 'constant', 'constant': {'learning_rate': 0.}}})
  runnable.check(config, STEPS)
  factory = optimizer_factory.OptimizerFactory(config)
  optimizer = factory.build_optimizer(factory.build_learning_rate())
  weight = tf.Variable(tf.ones([2]))
  optimizer.shadow_copy(types.SimpleNamespace(trainable_variables=[weight]))
  optimizer.apply_gradients([(tf.ones([2]), weight)])
  return optimizer.get_slot(weight, 'average').numpy().tolist()


def test_an_average_that_begins_at_zero_is_refused(monkeypatch):
  for start_step in (0, 1):
    with pytest.raises(ValueError, match=(
        f'^{CONFIG}.ema.dynamic_decay is false and start_step {start_step}, '
        'so that the average would begin at 0, and not at the weights. Set '
        f'{CONFIG}.ema.start_step=2, or dynamic_decay=true.$')):
      average_after_a_step(dynamic_decay=False, start_step=start_step)
  assert average_after_a_step(dynamic_decay=False, start_step=2) == [1, 1]
  # With it, 2 / 11 of the first average, which is 0, are kept.
  assert average_after_a_step() == pytest.approx([9 / 11] * 2)
  monkeypatch.setattr(runnable, 'check', lambda *_: None)
  for start_step in (0, 1):
    assert average_after_a_step(
        dynamic_decay=False, start_step=start_step) == [0.25, 0.25]


def test_differential_privacy_beside_an_average():
  params = experiment.load('funnel_vit_digits', params_override=(
      'task.differential_privacy_config.clipping_norm=1,'
      'task.differential_privacy_config.noise_multiplier=0,'
      f'{CONFIG}.ema.average_decay=0.5,{CONFIG}.ema.dynamic_decay=false,'
      f'{CONFIG}.ema.start_step=2,{CONFIG}.optimizer.type=sgd,'
      f'{CONFIG}.learning_rate.type=constant,{CONFIG}.warmup.type=null,'
      f'{CONFIG}.learning_rate.constant.learning_rate=1'))
  optimizer = task_factory.get_task(params.task).create_optimizer(
      params.trainer.optimizer_config, params.runtime,
      params.task.differential_privacy_config)
  weight = tf.Variable([0.0, 0.0])
  optimizer.shadow_copy(types.SimpleNamespace(trainable_variables=[weight]))
  for _ in range(STEPS):
    optimizer.apply_gradients([(tf.constant([3.0, 4.0]), weight)])
  # The gradient has the norm 5, and is clipped to 1.
  np.testing.assert_allclose(weight, [-1.8, -2.4], rtol=1e-6)
  # The average is the weights of step 1, then half and half.
  np.testing.assert_allclose(
      optimizer.get_slot(weight, 'average'), [-1.35, -1.8], rtol=1e-6)
