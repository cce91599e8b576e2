"""Tests of how long steps wait for their input."""

import time

import models
import pytest
import tensorflow as tf

from official_ext.training import input_waiting

STEPS = 6
INPUT_SECONDS = 0.05


def test_from_the_step_before_to_the_batch(monkeypatch):
  times = iter([10.0, 12.0, 20.0, 25.5, 30.0, 30.0])
  monkeypatch.setattr(tf, 'timestamp', lambda: tf.constant(
      next(times), tf.float64))
  waiting = input_waiting.InputWaiting()
  iterations = tf.Variable(0)
  assert waiting.take(lambda: (1, 2), iterations) == (1, 2)
  assert waiting.since_last() == 2
  waiting.take(lambda: (), iterations)
  waiting.take(lambda: (), iterations)
  assert waiting.since_last() == 5.5
  assert waiting.since_last() == 0


def slow(index):
  def sleep():
    time.sleep(INPUT_SECONDS)
    return 0.0
  return tf.cast(index, tf.float32) + tf.py_function(sleep, [], tf.float32)


@pytest.mark.parametrize('strategy', [
    tf.distribute.get_strategy, lambda: models.mirrored(2)])
def test_inside_a_loop_that_python_does_not_see(strategy):
  strategy = strategy()
  waiting = input_waiting.InputWaiting()
  with strategy.scope():
    iterations = tf.Variable(
        0, dtype=tf.int64,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA)
  data = tf.data.Dataset.range(2 * STEPS).batch(2).map(
      lambda batch: slow(batch) * [1.0, 1.0])
  iterator = iter(strategy.experimental_distribute_dataset(data))

  @tf.function
  def loop():
    for _ in tf.range(STEPS):
      waiting.take(lambda: next(iterator), iterations)
      strategy.run(lambda: iterations.assign_add(1))

  loop()
  assert int(iterations.numpy()) == STEPS
  # Some may have come before the first step asked.
  assert (STEPS - 4) * INPUT_SECONDS < waiting.since_last()
