"""Gradient accumulation: the update of the whole batch."""

import models
import numpy as np
from official.core import task_factory
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.params import experiment
from official_ext.tasks import accumulation


def outcome(num_microbatches, compiled=False, strategy=None, extra=''):
  """Loss, top-1 and weights after a step of SGD from fixed weights."""
  tf_keras.backend.clear_session()
  params = experiment.load('funnel_vit_digits', params_override=(
      "task.model.backbone.funnel_vit.layout='B1',"
      'task.train_data.mixup_and_cutmix=null,task.losses.soft_labels=false,'
      f'task.losses.one_hot=true,task.losses.l2_weight_decay=0.01,'
      f'task.gradient_accumulation_steps={num_microbatches}{extra}'))
  strategy = strategy or tf.distribute.get_strategy()
  with strategy.scope():
    task = task_factory.get_task(params.task)
    model = task.build_model()
    models.randomize(model)
    metrics = task.build_metrics(training=True)
    # Clipped by the norm of the whole gradient, as the recipe does.
    optimizer = tf_keras.optimizers.legacy.SGD(0.5, global_clipnorm=1.0)
  batch_size = 12 // strategy.num_replicas_in_sync

  def step(images, labels):
    return task.train_step((images, labels), model, optimizer, metrics)['loss']

  def replica_step(images, labels):
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    begin = replica * batch_size
    return step(images[begin:begin + batch_size],
                labels[begin:begin + batch_size])

  images, labels = models.random_images(12), tf.range(12) % 10
  if strategy.num_replicas_in_sync == 1:
    loss = tf.function(step, jit_compile=compiled)(images, labels)
  else:
    loss = strategy.reduce('MEAN', tf.function(
        lambda: strategy.run(replica_step, [images, labels]))(), axis=None)
  return [loss, metrics[0].result(),
          *(variable.numpy() for variable in model.trainable_variables)]


def assert_same(found, expected):
  for got, wanted in zip(found, expected, strict=True):
    tolerances.assert_close(
        got, wanted, depth=2, length=128, scale=max(1e-2, np.abs(wanted).max()))


@pytest.fixture(scope='module')
def whole():
  return outcome(1)


@pytest.mark.parametrize('num_microbatches', [
    3, *(pytest.param(count, marks=pytest.mark.long) for count in (2, 12))])
def test_one_update_of_the_whole_batch(whole, num_microbatches):
  assert_same(outcome(num_microbatches), whole)


def test_the_weights_move(whole):
  model = task_factory.get_task(
      experiment.load('funnel_vit_digits', params_override=(
          "task.model.backbone.funnel_vit.layout='B1'")).task).build_model()
  models.randomize(model)
  for before, after in zip(
      model.trainable_variables, whole[2:], strict=True):
    # The softmax does not change with the keys' bias.
    if 'key/bias' not in before.name:
      assert np.abs(before - after).max() > 1e-5, before.name


@pytest.mark.long
def test_compiled_by_xla(whole):
  assert_same(outcome(4, compiled=True), whole)


@pytest.mark.long
def test_on_two_replicas(whole):
  assert_same(outcome(3, strategy=models.mirrored(2)), whole)


def test_a_weight_that_the_loss_does_not_depend_on():
  used, unused = tf.Variable(1.0), tf.Variable(2.0, name='unused')

  def step(microbatch, optimizer, _):
    with tf.GradientTape() as tape:
      loss = used * tf.reduce_mean(microbatch)
    variables = [used, unused]
    optimizer.apply_gradients(
        zip(tape.gradient(loss, variables), variables))
    return loss

  with pytest.raises(ValueError, match='does not depend on unused:0'):
    accumulation.train_step(
        step, tf.ones([4]), 2, tf_keras.optimizers.legacy.SGD(),
        [used, unused])
