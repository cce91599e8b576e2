import numpy as np
import pytest
import tensorflow as tf

from official_ext.modeling import random_masks


def _masks(layer=None, seed=1, step=0, microbatches=0, count=2, shape=(64,)):
  """What a layer makes of ones, as often as it is called in a step."""
  layer = layer or random_masks.Dropout(0.5)

  @tf.function
  def run(step):
    with random_masks.of_step(seed, step):
      def draw():
        return [layer(tf.ones(shape), training=True) for _ in range(count)]

      found = [] if microbatches else draw()
      for index in range(microbatches):
        with random_masks.of_microbatch(index):
          found += draw()
      return found

  return [mask.numpy() for mask in run(tf.constant(step, tf.int64))]


def test_masks_are_the_same_in_another_process():
  # Each call traces anew and has operations of its own.
  for one, other in zip(_masks(step=3), _masks(step=3), strict=True):
    np.testing.assert_array_equal(one, other)


def test_seed_step_microbatch_and_place_have_their_own_masks():
  masks = [mask for settings in (
      {}, {'seed': 2}, {'step': 1}, {'microbatches': 2, 'step': 2},
      {'seed': 2**40})
           for mask in _masks(**settings)]
  assert len({mask.tobytes() for mask in masks}) == len(masks) == 12


def test_replicas_have_their_own_masks():
  strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])

  @tf.function
  def run():
    def in_replica():
      with random_masks.of_step(1, tf.constant(0, tf.int64)):
        return random_masks.Dropout(0.5)(tf.ones(64), training=True)
    return strategy.run(in_replica)

  one, other = (mask.numpy()
                for mask in strategy.experimental_local_results(run()))
  assert (one != other).any()
  np.testing.assert_array_equal(one, _masks(count=1)[0])


@pytest.mark.parametrize('seed', [None, 1])
def test_the_distributions_are_those_of_keras_and_model_garden(seed):
  dropped, = _masks(
      random_masks.Dropout(0.2), seed, count=1, shape=(100, 20, 5))
  np.testing.assert_array_equal(np.unique(dropped), np.float32([0, 1 / 0.8]))
  # Five standard errors.
  assert abs((dropped == 0).mean() - 0.2) < 5 * np.sqrt(0.16 / 10_000)
  images, = _masks(
      random_masks.StochasticDepth(0.2), seed, count=1, shape=(2500, 2, 2))
  assert (images == images[:, :1, :1]).all()
  np.testing.assert_array_equal(np.unique(images), np.float32([0, 1 / 0.8]))
  assert abs((images == 0).mean() - 0.2) < 5 * np.sqrt(0.16 / 2500)


def test_nothing_is_dropped_outside_training():
  for layer in random_masks.Dropout(0.5), random_masks.StochasticDepth(0.5):
    with random_masks.of_step(1, tf.constant(0)):
      np.testing.assert_array_equal(layer(tf.ones([8, 2])), 1)
      np.testing.assert_array_equal(layer(tf.ones([8, 2]), training=False), 1)


def test_the_gradient_goes_through_the_same_mask():
  layer = random_masks.Dropout(0.5)
  inputs = tf.ones(64)
  with random_masks.of_step(1, tf.constant(0)), tf.GradientTape() as tape:
    tape.watch(inputs)
    outputs = layer(inputs, training=True)
  np.testing.assert_array_equal(tape.gradient(outputs, inputs), outputs)
