import numpy as np
from official.modeling import optimization
import pytest
import tensorflow as tf
import tf_keras

from official_ext.optimization import moving_average
from official_ext.tasks import image_classification


@pytest.mark.parametrize('devices', [1, 2])
def test_swapping_twice_leaves_every_bit(devices):
  strategy = tf.distribute.MirroredStrategy(
      [f'CPU:{number}' for number in range(devices)])
  values = np.float32([1.0, 1e8, 3.0]), np.float32([1e-9, 0.1, 3.3])
  with strategy.scope():
    model = tf_keras.Sequential([
        tf_keras.layers.Dense(1, use_bias=False, input_shape=(3,))])
    optimizer = moving_average.ExponentialMovingAverage(
        tf_keras.optimizers.legacy.SGD(0.1))
    optimizer.shadow_copy(model)
    weight, = model.trainable_variables
    average = optimizer.get_slot(weight, 'average')
    pairs = list(zip((weight, average), values, strict=True))
    for variable, value in pairs:
      variable.assign(value[:, None])
    optimizer.swap_weights()
    for (variable, _), value in zip(pairs, reversed(values), strict=True):
      for copy in strategy.experimental_local_results(variable):
        np.testing.assert_array_equal(copy[:, 0], value)
    optimizer.swap_weights()
    for variable, value in pairs:
      for copy in strategy.experimental_local_results(variable):
        np.testing.assert_array_equal(copy[:, 0], value)


def test_the_task_takes_it_for_the_average():
  optimizer = image_classification.ImageClassificationTask.create_optimizer(
      optimization.OptimizationConfig({
          'optimizer': {'type': 'sgd'},
          'learning_rate': {'type': 'constant',
                            'constant': {'learning_rate': 0.1}},
          'ema': {'average_decay': 0.75}}))
  assert isinstance(optimizer, moving_average.ExponentialMovingAverage)
  assert optimizer.get_config()['average_decay'] == 0.75
