"""A training that diverges: what is noticed, when, and in which words."""

import math
import types

import pytest
import tensorflow as tf
import tf_keras

from official_ext.configs import image_classification as configs
from official_ext.training import divergence
from official_ext.training import event_tags

SGD = tf_keras.optimizers.legacy.SGD


def build(learning_rate=1.0, **settings):
  """Two weights under watch, and what takes a step of a given gradient."""
  weights = [tf.Variable([3.0, 4.0], name='kernel'),
             tf.Variable([0.0], name='bias')]
  model = types.SimpleNamespace(
      trainable_variables=weights, variables=weights)
  optimizer = SGD(learning_rate, momentum=0.9)
  checks = divergence.Checks(
      configs.TrainerConfig(**settings), tf.distribute.get_strategy(), model,
      optimizer, learning_rate=lambda steps: steps / 100)
  global_step = tf.Variable(0, dtype=tf.int64)

  @tf.function
  def take(gradient, loss):
    optimizer.apply_gradients([(gradient, weights[0]), ([0.0], weights[1])])
    checks.record(loss, global_step)
    global_step.assign_add(1)

  checks.begin_loop(0)
  return checks, weights, lambda gradient=(0.0, 0.0), loss=1.0: take(
      tf.constant(gradient), tf.constant(loss))


def test_good_steps_pass_and_are_measured():
  checks, _, take = build()
  take((3.0, 4.0))
  checks.check_steps()
  take((0.0, 2.0))
  checks.check_steps()
  checks.check_loss(2, 1e5)
  checks.check_evaluation(2, {'validation_loss': 3.0})
  # (3, 4) - (3, 4) - 0.9 (3, 4) - (0, 2)
  assert checks.check_weights(2) == {
      event_tags.GRADIENT_NORM: pytest.approx(2),
      event_tags.WEIGHT_NORM: pytest.approx(math.hypot(2.7, 5.6))}


def test_a_bad_gradient():
  checks, _, take = build()
  take()
  take((math.nan, 0.0), 2.5)
  with pytest.raises(divergence.DivergenceError) as raised:
    checks.check_steps()
  assert str(raised.value) == (
      'at step 2 the loss is 2.5, the gradient norm nan and the learning rate '
      '0.01; not finite are the gradients of kernel:0')
  assert (raised.value.good_steps, raised.value.proven_steps) == (1, 0)
  checks.reset()
  checks.check_steps()


def test_a_bad_loss():
  checks, _, take = build()
  take((0.0, 3.0), math.inf)
  with pytest.raises(divergence.DivergenceError, match=(
      'at step 1 the loss is inf, the gradient norm 3 and the learning rate 0; '
      'all gradients are finite')):
    checks.check_steps()


def test_a_loss_spike():
  checks, _, take = build(loss_spike_factor=4.0)
  for _ in range(100):
    take(loss=2.0)
  take(loss=8.5)
  with pytest.raises(divergence.DivergenceError, match=(
      'at step 101 the loss is 8.5, .*; the loss was 2 before, and '
      'trainer.loss_spike_factor is 4.0')):
    checks.check_steps()


@pytest.mark.parametrize('loss, settings, message', [
    (math.nan, {}, 'from step 0 to 5 the mean loss is nan$'),
    (2e6, {}, 'the mean loss is 2e.06, above trainer.loss_upper_bound=1e.06'),
    (2e6, {'recovery_begin_steps': 6}, None),
    (2e6, {'recovery_max_trials': -1}, None),
    (math.nan, {'recovery_max_trials': -1}, 'is nan')])
def test_a_mean_loss(loss, settings, message):
  checks, _, _ = build(**settings)
  if message is None:
    checks.check_loss(5, loss)
    return
  with pytest.raises(divergence.DivergenceError, match=message) as raised:
    checks.check_loss(5, loss)
  assert raised.value.good_steps == 0


def test_weights_that_are_not_finite():
  checks, weights, take = build(learning_rate=1e38)
  take((1.0, 0.0))
  # Of so large weights, the norm is what overflows.
  with pytest.raises(divergence.DivergenceError, match=(
      'after step 1 not finite are kernel:0, SGD/kernel/momentum:0')):
    checks.check_weights(1)
  checks, weights, take = build()
  take()
  weights[1].assign([math.nan])
  with pytest.raises(divergence.DivergenceError, match=(
      'after step 1 not finite are bias:0$')) as raised:
    checks.check_weights(1)
  assert raised.value.good_steps == 0


def test_weights_that_grow_beyond_measure():
  checks, weights, take = build(learning_rate=1e6)
  take((1.0, 0.0))
  with pytest.raises(divergence.DivergenceError, match=(
      r'from step 0 to 1 the norm of the weights grew from 5 to 1e\+06')):
    checks.check_weights(1)
  weights[0].assign([3000.0, 0.0])
  assert checks.check_weights(1)[event_tags.WEIGHT_NORM] == 3000
  # The next loop begins from what was measured then.
  checks.begin_loop(1)
  weights[0].assign([0.0, 4e6])
  with pytest.raises(divergence.DivergenceError, match=(
      r'from step 1 to 2 the norm of the weights grew from 3e\+03 to 4e\+06')):
    checks.check_weights(2)


def test_an_evaluation_that_is_not_finite():
  checks, _, _ = build()
  checks.begin_loop(6)
  with pytest.raises(divergence.DivergenceError, match=(
      'the evaluation at step 9 is not finite: validation_loss is nan$'
  )) as raised:
    checks.check_evaluation(9, {'accuracy': 0.1, 'validation_loss': math.nan})
  assert raised.value.good_steps == 6


def test_weights_that_begin_at_zero_may_grow():
  checks, weights, take = build()
  weights[0].assign([0.0, 0.0])
  checks.reset()
  checks.begin_loop(0)
  take((3.0, 4.0))
  assert checks.check_weights(1)[event_tags.WEIGHT_NORM] == 5
