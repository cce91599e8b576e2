"""The numbers of a step: norms by hand, the first bad step, float16."""

import math

import models
import numpy as np
from official.modeling import optimization
import pytest
import tensorflow as tf
import tf_keras

from official_ext.training import step_numbers

LEGACY = tf_keras.optimizers.legacy


class Steps:
  """Takes steps of a linear loss: the gradients are the inputs' means."""

  def __init__(self, num_replicas=1, optimizer=None, **settings):
    self.strategy = (models.mirrored(num_replicas) if num_replicas > 1
                     else tf.distribute.get_strategy())
    with self.strategy.scope():
      self.variables = [tf.Variable([0.0, 0.0], name='first'),
                        tf.Variable([[0.0]], name='second')]
      self.optimizer = optimizer() if optimizer else LEGACY.SGD(0.0)
      self.numbers = step_numbers.StepNumbers(
          self.optimizer, self.variables, **settings)
      self.global_step = tf.Variable(
          0, dtype=tf.int64, trainable=False,
          aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)

  def take(self, *steps):
    """Takes steps, each of (gradient [3], loss) of every replica, in a loop."""

    def step_fn(inputs):
      gradient, loss = inputs[0][0], inputs[1][0]
      self.optimizer.apply_gradients([
          (gradient[:2], self.variables[0]),
          (gradient[None, 2:], self.variables[1])])
      self.numbers.record(loss, self.global_step)
      self.global_step.assign_add(1)

    @tf.function
    def loop(iterator):
      for _ in tf.range(len(steps)):
        self.strategy.run(step_fn, (next(iterator),))

    gradients, losses = zip(*(replica for step in steps for replica in step))
    data = tf.data.Dataset.from_tensor_slices((
        np.array(gradients, np.float32), np.array(losses, np.float32)))
    loop(iter(self.strategy.experimental_distribute_dataset(
        data.batch(self.strategy.num_replicas_in_sync))))


def step(gradient=(3.0, 0, 4), loss=1.0):
  return [(gradient, loss)]


def float16(optimizer=LEGACY.SGD, scale=2.0 ** 15, **settings):
  return lambda: tf_keras.mixed_precision.LossScaleOptimizer(
      optimizer(0.0), initial_scale=scale, **settings)


@pytest.mark.slow
@pytest.mark.parametrize('optimizer', [
    lambda: LEGACY.SGD(0.1), lambda: LEGACY.Adam(global_clipnorm=1.0),
    lambda: tf_keras.optimizers.SGD(0.1),
    lambda: optimization.ExponentialMovingAverage(LEGACY.SGD(0.1)),
    float16(), float16(tf_keras.optimizers.SGD)])
def test_the_norm_is_that_of_the_whole_gradient(optimizer):
  steps = Steps(optimizer=optimizer)
  if isinstance(steps.optimizer, optimization.ExponentialMovingAverage):
    model = tf.Module()
    model.trainable_variables_ = steps.variables
    steps.optimizer._model_weights = steps.optimizer._average_weights = []
  steps.take(step((1.0, 1, 1)), step((3.0, 0, 4)))
  assert steps.numbers.gradient_norm == pytest.approx(5)
  assert steps.numbers.bad_step() is None


def test_of_two_replicas_it_is_that_of_their_sum():
  steps = Steps(num_replicas=2)
  steps.take([((3.0, 0, 4), 1.0), ((-3.0, 1, 0), 2.0)])
  assert steps.numbers.gradient_norm == pytest.approx(math.sqrt(17))


@pytest.mark.parametrize('value', [math.nan, math.inf, 1e30])
def test_the_first_bad_step_is_kept(value):
  steps = Steps()
  steps.take(step(), step(), step((3.0, 0, value), 7.0), step((value, 0, 0)))
  steps.take(step())
  bad = steps.numbers.bad_step()
  assert (bad.step, bad.loss, bad.usual_loss) == (3, 7.0, None)
  assert not math.isfinite(bad.gradient_norm)
  assert (list(bad.variables), bad.num_variables) == (['second:0'], 2)
  steps.numbers.reset()
  assert steps.numbers.bad_step() is None
  steps.take(step(), step(loss=math.nan))
  bad = steps.numbers.bad_step()
  assert bad.step == 7 and math.isnan(bad.loss) and bad.gradient_norm == 5
  assert not bad.variables


def test_on_one_of_two_replicas():
  steps = Steps(num_replicas=2)
  good = ((3.0, 0, 4), 1.0)
  steps.take([good, good], [good, ((3.0, 0, math.nan), 1.0)], [good, good])
  bad = steps.numbers.bad_step()
  assert (bad.step, list(bad.variables)) == (2, ['second:0'])
  steps.numbers.reset()
  steps.take([good, good], [good, ((3.0, 0, 4), math.inf)])
  bad = steps.numbers.bad_step()
  assert (bad.step, bad.loss) == (5, math.inf)


@pytest.mark.parametrize('optimizer', [LEGACY.SGD, tf_keras.optimizers.SGD])
def test_a_loss_scale_that_is_sought_is_no_error(optimizer):
  steps = Steps(optimizer=float16(optimizer, scale=8.0))
  overflow = step((3.0, 0, math.inf))
  steps.take(overflow, overflow, step(), overflow)
  assert steps.numbers.bad_step() is None
  # 8, 4, 2, then 1: lower it cannot be.
  assert float(steps.optimizer.loss_scale) == 1
  steps.take(overflow)
  assert steps.numbers.bad_step().step == 5


def test_fifty_overflows_in_a_row_are_an_error():
  steps = Steps(optimizer=float16(scale=2.0 ** 100))
  overflow = step((3.0, 0, math.inf))
  steps.take(*[overflow] * 30, step(), *[overflow] * 49)
  assert steps.numbers.bad_step() is None
  steps.take(overflow)
  assert steps.numbers.bad_step().step == 81


def test_in_float16_a_bad_loss_and_a_fixed_scale_are_errors():
  steps = Steps(optimizer=float16())
  steps.take(step(), step((math.nan,) * 3, math.nan))
  assert steps.numbers.bad_step().step == 2
  steps = Steps(optimizer=float16(dynamic=False))
  steps.take(step(), step((3.0, 0, math.inf)))
  assert steps.numbers.bad_step().step == 2


def test_a_loss_spike_is_bad_if_asked_for():
  steps = Steps(loss_spike_factor=3.0)
  # Too early to tell, and then 3 times the mean of 2.
  steps.take(step(loss=101.0), *[step(loss=1.0)] * 99)
  steps.take(step(loss=5.9), step(loss=7.0))
  bad = steps.numbers.bad_step()
  assert bad.step == 102 and bad.loss == 7
  assert bad.usual_loss == pytest.approx(0.99 * 2 + 0.01 * 5.9)
  assert not bad.variables and bad.gradient_norm == 5
  steps = Steps()
  steps.take(*[step(loss=1.0)] * 100, step(loss=1e9))
  assert steps.numbers.bad_step() is None
