"""A backbone that is frozen at first, to the last bit, and learns then."""

import types

import models
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_ext.optimization import frozen_backbone
from official_ext.optimization import layerwise
from official_ext.optimization import moving_average

RATE, DECAY, FROZEN = 0.01, 0.5, 3


def build(frozen_backbone_steps, kind):
  """A backbone of one layer and a head, with an optimizer."""
  backbone = tf_keras.Sequential(
      [tf_keras.layers.Dense(2, name='layer_1', input_shape=(3,))])
  head = tf_keras.layers.Dense(2, name='head')
  head.build([None, 2])
  model = types.SimpleNamespace(
      backbone=backbone,
      trainable_variables=[
          *backbone.trainable_variables, *head.trainable_variables])
  optimizer = layerwise.LayerwiseAdamW(
      RATE, weight_decay_rate=DECAY, gradient_clip_norm=0.0, num_layers=1,
      exclude_from_weight_decay=['bias'], layer_decay=0.75,
      frozen_backbone_steps=frozen_backbone_steps)
  if kind == 'averaged':
    optimizer = moving_average.ExponentialMovingAverage(
        optimizer, average_decay=0.9)
    optimizer.shadow_copy(model)
  elif kind == 'scaled':
    optimizer = tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
  frozen_backbone.prepare(optimizer, model)
  return model.trainable_variables, optimizer


def take_steps(num_steps, frozen_steps, kind, strategy):
  """Applies the gradient 0.1; returns values and averages after each step."""
  with strategy.scope():
    variables, optimizer = build(frozen_steps, kind)
    generator = np.random.default_rng(1)
    for variable in variables:
      variable.assign(generator.normal(size=variable.shape))

  def apply():
    optimizer.apply_gradients([
        (0.1 / strategy.num_replicas_in_sync * tf.ones_like(one), one)
        for one in variables])

  @tf.function
  def step():
    strategy.run(apply)

  def numbers(tensors):
    return [[copy.numpy() for copy in strategy.experimental_local_results(one)]
            for one in tensors]

  values, averages = [numbers(variables)], [None]
  for _ in range(num_steps):
    step()
    values.append(numbers(variables))
    averages.append(numbers(
        optimizer.get_slot(one, 'average') for one in variables)
                    if kind == 'averaged' else None)
  return [one.name for one in variables], values, averages


def by_hand(before, rate, decay):
  """A step: of equal gradients, Adam makes steps of the learning rate."""
  before = np.array(before)
  return before - decay * rate * before - rate


@pytest.mark.slow
@pytest.mark.parametrize('kind, num_replicas', [
    pytest.param('plain', 1, marks=pytest.mark.long), ('scaled', 1),
    pytest.param('averaged', 1, marks=pytest.mark.long), ('averaged', 2)])
def test_the_backbone_is_frozen_and_then_learns_as_ever(kind, num_replicas):
  names, found, averages = take_steps(
      FROZEN + 1, FROZEN, kind, models.mirrored(num_replicas))
  assert names == ['layer_1/kernel:0', 'layer_1/bias:0', 'kernel:0', 'bias:0']
  for step in range(FROZEN + 1):
    for variable, decay in enumerate((DECAY, 0, DECAY, 0)):
      after, before = found[step + 1][variable], found[step][variable]
      assert len(after) == num_replicas
      is_of_head = variable >= 2
      if step < FROZEN and not is_of_head:
        np.testing.assert_array_equal(after, before)
        if kind == 'averaged':
          np.testing.assert_array_equal(averages[step + 1][variable], before)
        continue
      np.testing.assert_allclose(
          after, by_hand(before, RATE if is_of_head else 0.75 * RATE, decay),
          rtol=1e-5, atol=1e-6)
      if kind == 'averaged' and not is_of_head:
        # The average's decay at step t is at most (1 + t) / (10 + t).
        share = 1 - (2 + step) / (11 + step)
        np.testing.assert_allclose(
            averages[step + 1][variable],
            np.array(before) + share * (np.array(after) - before), rtol=1e-5)


def test_an_optimizer_that_does_not_know_the_backbone():
  weight = tf.Variable([1.0])
  optimizer = layerwise.LayerwiseSGD(
      0.1, layer_decay=1.0, num_layers=1, frozen_backbone_steps=1)
  with pytest.raises(ValueError, match='does not know the backbone'):
    optimizer.apply_gradients([(tf.constant([1.0]), weight)])


def test_names_in_both_are_refused():
  backbone = types.SimpleNamespace(
      trainable_variables=[tf.Variable(1.0, name='dense')])
  model = types.SimpleNamespace(backbone=backbone, trainable_variables=[
      *backbone.trainable_variables, tf.Variable(1.0, name='dense')])
  with pytest.raises(ValueError, match='dense:0 is in the backbone and in'):
    frozen_backbone.prepare(layerwise.LayerwiseSGD(
        0.1, layer_decay=1.0, num_layers=1, frozen_backbone_steps=1), model)
