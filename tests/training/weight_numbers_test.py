"""The norm of the weights, and which are no numbers, by hand."""

import math

import models
from official.modeling import optimization
import pytest
import tensorflow as tf
import tf_keras

from official_ext.training import weight_numbers

LEGACY = tf_keras.optimizers.legacy


@pytest.mark.parametrize('optimizer, slot', [
    (lambda: LEGACY.SGD(momentum=0.9), 'SGD/only/kernel/momentum:0'),
    (lambda: tf_keras.optimizers.SGD(momentum=0.9), 'SGD/m/only/kernel:0'),
    (lambda: tf_keras.mixed_precision.LossScaleOptimizer(
        LEGACY.SGD(momentum=0.9)), 'SGD/only/kernel/momentum:0'),
    (lambda: optimization.ExponentialMovingAverage(
        LEGACY.SGD(momentum=0.9)),
     'only/kernel/average:0')])
def test_weights_and_slots(optimizer, slot):
  strategy = models.mirrored(2)
  with strategy.scope():
    optimizer = optimizer()
    model = tf_keras.Sequential([tf_keras.layers.Dense(2, name='only')])
    model.build([None, 2])
    model.layers[0].trainable_weights[0].assign([[1, 2], [2, 4]])
    model.layers[0].trainable_weights[1].assign([0, 12])
    if isinstance(optimizer, optimization.ExponentialMovingAverage):
      optimizer.shadow_copy(model)
    numbers = weight_numbers.WeightNumbers(strategy, model, optimizer)
    assert numbers.norm() == pytest.approx(13)

    def step():
      optimizer.apply_gradients([
          (tf.zeros_like(one), one) for one in model.trainable_variables])

    strategy.run(tf.function(step))
    norm, names = numbers.measure()
    assert norm == pytest.approx(13)
    assert not names
    model.layers[0].trainable_weights[1].assign([math.nan, 0])
    found, = (one for one in optimizer.variables() if one.name == slot)
    found.assign(tf.fill(found.shape, math.inf))
    norm, names = numbers.measure()
    assert math.isnan(norm)
    assert names == ['only/bias:0', slot]
