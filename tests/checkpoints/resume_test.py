"""Tests of going on with a training whose optimizer is another, or wrapped."""

import logging

import models
import numpy as np
from official.modeling import optimization
import pytest
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import restore as restore_lib
from official_ext.checkpoints import resume

STEPS = 3


def build_optimizer(kind='adamw', ema=None, **settings):
  """An optimizer as Model Garden builds it, with a cosine of 10 steps."""
  rate = {'type': 'cosine', 'cosine': {
      'initial_learning_rate': 0.1, 'decay_steps': 10}}
  if 'learning_rate' in settings:
    rate = {'type': 'constant', 'constant': {
        'learning_rate': settings.pop('learning_rate')}}
  config = optimization.OptimizationConfig({
      'optimizer': {'type': kind, kind: settings}, 'learning_rate': rate,
      'ema': ema})
  factory = optimization.OptimizerFactory(config)
  return factory.build_optimizer(factory.build_learning_rate())


class Training:
  """Two layers that are trained by gradients of 1, as a trainer does."""

  def __init__(self, optimizer):
    tf_keras.utils.set_random_seed(1)
    inputs = tf_keras.Input([3])
    hidden = tf_keras.layers.Dense(4, name='first')(inputs)
    self.model = tf_keras.Model(
        inputs, tf_keras.layers.Dense(2, name='second')(hidden))
    self.optimizer = optimizer
    if isinstance(optimizer, optimization.ExponentialMovingAverage):
      optimizer.shadow_copy(self.model)
    self.global_step = tf.Variable(0, dtype=tf.int64)
    self.root = tf.train.Checkpoint(
        global_step=self.global_step, model=self.model, optimizer=optimizer)

  def step(self, steps=STEPS):
    for _ in range(steps):
      variables = self.model.trainable_variables
      tf.distribute.get_strategy().run(
          self.optimizer.apply_gradients,
          args=([(tf.ones_like(one), one) for one in variables],))
      self.global_step.assign_add(1)

  def save(self, tmp_path):
    return self.root.save(str(tmp_path / 'ckpt'))

  def restore(self, path, allows_changes=False):
    resume.restore(
        self.root, path, self.model, self.optimizer, allows_changes)

  @property
  def weights(self):
    return [variable.numpy() for variable in self.model.variables]

  def slots(self, name, optimizer=None):
    optimizer = optimizer or self.inner
    return [optimizer.get_slot(variable, name).numpy()
            for variable in self.model.trainable_variables]

  @property
  def inner(self):
    return getattr(self.optimizer, '_optimizer', self.optimizer)


def trained(tmp_path, *args, **settings):
  training = Training(build_optimizer(*args, **settings))
  training.step()
  return training, training.save(tmp_path)


def assert_equal(found, expected):
  for one, other in zip(found, expected, strict=True):
    np.testing.assert_array_equal(one, other)


EMA = {'average_decay': 0.5}


@pytest.mark.slow
@pytest.mark.parametrize('before, now', [
    (None, None), (EMA, EMA), (None, EMA), (EMA, None)])
def test_counter_and_moments_are_carried_over(tmp_path, caplog, before, now):
  former, path = trained(tmp_path, ema=before)
  training = Training(build_optimizer(ema=now))
  if before == now:
    caplog.clear()
    training.restore(path)
    # TensorFlow may say that it traces a function again: that is no matter.
    assert not [record for record in caplog.records if record.name == 'absl']
  else:
    with pytest.raises(restore_lib.LoadError, match=(
        'does not hold all that .*the moving averages of the weights (begin '
        'at the weights|are dropped).*--allow_changes')):
      training.restore(path)
    training.restore(path, allows_changes=True)
    assert 'the moving averages of the weights' in caplog.text
  assert int(training.optimizer.iterations.numpy()) == STEPS
  assert int(training.global_step.numpy()) == STEPS
  assert_equal(training.weights, former.weights)
  for name in ('m', 'v'):
    assert np.any(former.slots(name)[0])
    assert_equal(training.slots(name), former.slots(name))
  if now:
    assert_equal(training.slots('average', training.optimizer),
                 former.slots('average', former.optimizer) if before
                 else former.weights)
  # The next step is the one that an undisturbed training would have taken.
  former.step(1)
  training.step(1)
  assert_equal(training.weights, former.weights)


def test_another_optimizer_begins_with_what_is_named(tmp_path, caplog):
  former, path = trained(tmp_path)
  training = Training(build_optimizer('sgd', momentum=0.9))
  with pytest.raises(restore_lib.LoadError, match=(
      "the optimizer's momentum of first/kernel:0, first/bias:0, "
      'second/kernel:0 and 1 other variables begins at its initial value')):
    training.restore(path)
  with caplog.at_level(logging.WARNING):
    training.restore(path, allows_changes=True)
  assert "the optimizer's momentum of first/kernel:0" in caplog.text
  assert int(training.optimizer.iterations.numpy()) == STEPS
  assert_equal(training.weights, former.weights)


@pytest.mark.parametrize('before, now', [
    ('sgd_experimental', 'adam_experimental'), ('adamw', 'adam_experimental')])
def test_optimizers_that_number_their_moments(tmp_path, caplog, before, now):
  former, path = trained(tmp_path, before)
  training = Training(build_optimizer(now))
  with pytest.raises(restore_lib.LoadError, match='moments begin at their in'):
    training.restore(path)
  training.restore(path, allows_changes=True)
  assert 'moments begin at their initial values' in caplog.text
  assert int(training.optimizer.iterations.numpy()) == STEPS
  assert_equal(training.weights, former.weights)
  assert not any(np.any(variable) for variable in training.optimizer.variables
                 if variable.shape.rank)
  # The same goes on as if undisturbed.
  training.step(1)
  again = Training(build_optimizer(now))
  again.restore(training.save(tmp_path / 'again'))
  training.step(1)
  again.step(1)
  assert_equal(again.weights, training.weights)


def test_layers_that_were_frozen_are_named(tmp_path):
  training = Training(build_optimizer())
  training.model.get_layer('first').trainable = False
  training.step()
  path = training.save(tmp_path)
  with pytest.raises(restore_lib.LoadError, match=(
      "the optimizer's m of first/kernel:0, first/bias:0 begins.*'s v of")):
    Training(build_optimizer()).restore(path)


@pytest.mark.parametrize('ema', [None, EMA])
def test_numbers_that_are_set_now_hold(tmp_path, ema):
  _, path = trained(
      tmp_path, 'sgd', ema=ema, momentum=0.9, learning_rate=0.1)
  training = Training(build_optimizer(
      'sgd', ema=ema, momentum=0.8, learning_rate=0.025))
  training.restore(path)
  assert float(training.optimizer.learning_rate) == np.float32(0.025)
  # 0.8 of the momentum before (-0.1, -0.19, -0.271) and the new gradient.
  before = training.weights
  training.step(1)
  np.testing.assert_allclose(
      training.weights[0] - before[0], 0.8 * -0.271 - 0.025, rtol=1e-5)


def test_a_variable_of_the_model_never_begins_anew(tmp_path):
  training, path = trained(tmp_path)
  training.model = tf_keras.Sequential([
      training.model, tf_keras.layers.Dense(2, name='third')])
  training.model.build([None, 3])
  with pytest.raises(restore_lib.LoadError, match='lacks variables of this'):
    training.restore(path, allows_changes=True)


def test_without_a_counter_it_is_that_of_the_training(tmp_path, caplog):
  former = Training(build_optimizer())
  former.step()
  path = tf.train.Checkpoint(
      global_step=former.global_step, model=former.model).save(
          str(tmp_path / 'ckpt'))
  training = Training(build_optimizer())
  training.restore(path, allows_changes=True)
  assert "the optimizer's counter begins at the step of the tr" in caplog.text
  assert int(training.optimizer.iterations.numpy()) == STEPS


def test_averages_that_are_not_there_are_not_evaluated(tmp_path):
  _, path = trained(tmp_path)
  averaging = Training(build_optimizer(ema=EMA))
  with pytest.raises(restore_lib.LoadError, match=(
      'has no moving averages .* Set trainer.optimizer_config.ema=null')):
    resume.check_averages(path, averaging.optimizer)
  resume.check_averages(path, build_optimizer())
  resume.check_averages(
      averaging.save(tmp_path / 'averaging'), averaging.optimizer)


def test_on_two_replicas(tmp_path):
  with models.mirrored(2).scope():
    former, path = trained(tmp_path, momentum=0.9, kind='sgd')
    training = Training(build_optimizer('sgd', ema=EMA, momentum=0.9))
    training.restore(path, allows_changes=True)
    assert int(training.optimizer.iterations.numpy()) == STEPS
    assert_equal(training.slots('momentum'), former.slots('momentum'))
    assert_equal(
        training.slots('average', training.optimizer), former.weights)


@pytest.mark.parametrize('before, now', [(True, False), (False, True)])
def test_float16_put_on_and_taken_off(tmp_path, before, now):
  def optimizer(is_scaled):
    plain = build_optimizer('sgd', momentum=0.9)
    return tf_keras.mixed_precision.LossScaleOptimizer(
        plain, dynamic=False, initial_scale=1.0) if is_scaled else plain

  former = Training(optimizer(before))
  former.step()
  training = Training(optimizer(now))
  training.restore(former.save(tmp_path))
  assert int(training.optimizer.iterations.numpy()) == STEPS
  assert_equal(training.slots('momentum'), former.slots('momentum'))
