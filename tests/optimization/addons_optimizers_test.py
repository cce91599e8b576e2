"""Tests of the optimizers of tensorflow-addons; on the addons line alone."""

import types

import numpy as np
from official.core import task_factory
from official.modeling import optimization
import pytest
import tensorflow as tf

from official_ext.configs import image_classification
from official_ext.optimization import addons
from official_ext.params import experiment
from official_ext.training import session

pytestmark = pytest.mark.addons

RATE = 0.1
every_type = pytest.mark.parametrize('optimizer_type', addons.CONFIGS)


def build(optimizer_type, learning_rate=None, ema=None, **settings):
  """An optimizer from Model Garden's factory, at a constant rate by default."""
  config = image_classification.OptimizationConfig({
      'optimizer': {'type': optimizer_type, optimizer_type: settings},
      'learning_rate': learning_rate or {
          'type': 'constant', 'constant': {'learning_rate': RATE}},
      **({'ema': ema} if ema else {})})
  factory = optimization.OptimizerFactory(config)
  return factory.build_optimizer(factory.build_learning_rate())


def variables():
  return [tf.Variable([3.0, -4.0], name='layer/kernel'),
          tf.Variable([1.0, 2.0], name='layer/bias'),
          tf.Variable([[0.5]], name='cls/cls')]


def gradients(scale=1.0):
  return [scale * tf.constant([0.3, -0.4]), scale * tf.constant([2.0, 1.0]),
          scale * tf.constant([[-5.0]])]


def apply(optimizer, weights, scale=1.0, steps=1):
  for _ in range(steps):
    optimizer.apply_gradients(zip(gradients(scale), weights))


def test_the_first_step_of_rectified_adam_is_momentums():
  weights = variables()
  apply(build('radam'), weights)
  np.testing.assert_allclose(weights[0], [2.97, -3.96], rtol=1e-6)
  np.testing.assert_allclose(weights[1], [0.8, 1.9], rtol=1e-6)


def test_rectified_adam_against_the_paper():
  optimizer, weights = build('radam'), variables()
  apply(optimizer, weights, steps=8)
  value, m, v = np.array([3.0, -4.0]), 0.0, 0.0
  grad = np.array([0.3, -0.4])
  for t in range(1, 9):
    m = 0.9 * m + 0.1 * grad
    v = 0.999 * v + 0.001 * grad ** 2
    most = 2 / (1 - 0.999) - 1
    length = most - 2 * t * 0.999 ** t / (1 - 0.999 ** t)
    step = m / (1 - 0.9 ** t)
    if length >= 5:
      step *= np.sqrt(
          (length - 4) * (length - 2) * most
          / ((most - 4) * (most - 2) * length))
      step /= np.sqrt(v / (1 - 0.999 ** t)) + 1e-7
    value -= RATE * step
  assert length > 5
  np.testing.assert_allclose(weights[0], value, rtol=1e-5)


def test_lookahead_goes_half_of_the_way():
  weights, fast = variables(), variables()
  apply(build('radam_lookahead', sync_period=2), weights, steps=2)
  apply(build('radam'), fast, steps=2)
  for start, got, end in zip(variables(), weights, fast):
    np.testing.assert_allclose(got, (start + end) / 2, rtol=1e-6)


def test_novograd_divides_by_the_norm_of_a_variables_gradient():
  weights = variables()
  apply(build('novograd'), weights)
  np.testing.assert_allclose(weights[0], [2.94, -3.92], rtol=1e-6)
  np.testing.assert_allclose(weights[2], [[0.6]], rtol=1e-6)


def test_yogi_adds_to_its_second_moment():
  weights = variables()
  apply(build('yogi'), weights)
  grad = np.array([0.3, -0.4])
  v = 1e-6 + 0.001 * grad ** 2
  step = np.sqrt(0.001) * grad / (np.sqrt(v) + 1e-3)
  np.testing.assert_allclose(
      weights[0], np.array([3.0, -4.0]) - RATE * step, rtol=1e-5)


def test_sgdw_has_momentum():
  weights = variables()
  apply(build('sgdw', momentum=0.5), weights, steps=2)
  # 1 of the first step, 1 and a half of the second.
  np.testing.assert_allclose(weights[0], [2.925, -3.9], rtol=1e-6)


@every_type
def test_weight_decay_follows_the_schedule_and_leaves_biases_out(
    optimizer_type):
  optimizer = build(
      optimizer_type, weight_decay_rate=0.2,
      learning_rate={'type': 'polynomial', 'polynomial': {
          'initial_learning_rate': 1.0, 'end_learning_rate': 0.0,
          'decay_steps': 4}})
  weights = variables()
  apply(optimizer, weights, scale=0.0, steps=2)
  # At rates of 1 and 3/4.
  np.testing.assert_allclose(
      weights[0], 0.8 * 0.85 * np.array([3.0, -4.0]), rtol=1e-6)
  for before, after in list(zip(variables(), weights))[1:]:
    np.testing.assert_array_equal(before, after)


@every_type
def test_gradients_are_clipped(optimizer_type):
  clipped, small = variables(), variables()
  norm = float(tf.linalg.global_norm(gradients()))
  apply(build(optimizer_type, global_clipnorm=1.0), clipped, scale=10.0)
  apply(build(optimizer_type), small, scale=1 / norm)
  for one, other, start in zip(clipped, small, variables()):
    np.testing.assert_allclose(one, other, rtol=1e-5)
    assert np.abs(one - start).max() > 1e-3


@every_type
def test_a_restored_optimizer_goes_on_as_if_nothing_had_been(
    optimizer_type, tmp_path):
  optimizer, weights = build(optimizer_type, weight_decay_rate=0.01), (
      variables())
  apply(optimizer, weights, steps=7)
  path = tf.train.Checkpoint(optimizer=optimizer, weights=weights).write(
      str(tmp_path / 'checkpoint'))
  apply(optimizer, weights, steps=7)
  resumed, restored = build(optimizer_type, weight_decay_rate=0.01), (
      variables())
  # The trainer restores before there are slots.
  status = tf.train.Checkpoint(optimizer=resumed, weights=restored).read(path)
  apply(resumed, restored, steps=7)
  status.assert_consumed()
  for one, other in zip(weights, restored):
    np.testing.assert_array_equal(one, other)


@every_type
def test_ema_weights(optimizer_type):
  optimizer = build(optimizer_type, ema={
      'average_decay': 0.5, 'dynamic_decay': False})
  weights = variables()
  optimizer.shadow_copy(types.SimpleNamespace(trainable_variables=weights))
  apply(optimizer, weights)
  # The average begins at zero.
  for before, weight in zip(variables(), weights):
    assert np.abs(weight - before).max() > 1e-3
    np.testing.assert_allclose(
        optimizer.get_slot(weight, 'average'), weight / 2, rtol=1e-6)


@every_type
def test_every_settings_file_trains(optimizer_type):
  params = experiment.load(
      'funnel_vit_digits', [f'optimizers/{optimizer_type}'], (
          "task.model.backbone.funnel_vit.layout='B1',"
          'trainer.optimizer_config.warmup.linear.warmup_steps=1'))
  task = task_factory.get_task(params.task)
  model = task.build_model()
  optimizer = task.create_optimizer(params.trainer.optimizer_config)
  step = tf.function(
      lambda: task.train_step((images, labels), model, optimizer)['loss'])
  images = tf.random.normal([8, 16, 16, 3])
  labels = tf.one_hot(tf.range(8), 10)
  losses = [float(step()) for _ in range(60)]
  assert losses[0] == pytest.approx(np.log(10), rel=1e-4)
  assert losses[-1] < 0.9 * losses[0]


def test_a_negative_decay():
  with pytest.raises(ValueError, match='weight_decay_rate is -0.1, but must'):
    build('yogi', weight_decay_rate=-0.1)


def test_sgdw_learns_the_digits(digits_dir, tmp_path):
  params = experiment.load(
      'funnel_vit_digits', ['optimizers/sgdw'],
      f"task.data_dir='{digits_dir}',trainer.interval_epochs=60")
  trainer = session.prepare(
      params, 'train_and_eval', str(tmp_path)).execute()
  assert trainer.validation_logs['num_images'] == 360
  # Of the quickstart's 98 % in the worst of its seeds.
  assert trainer.validation_logs['accuracy'] >= 0.97
