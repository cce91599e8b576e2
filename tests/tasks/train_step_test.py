"""The train step of the recipe, compiled by XLA as on an accelerator."""

import models
import numpy as np
from official.core import task_factory
import pytest
import tensorflow as tf
import tf_keras

from official_ext.params import experiment
from official_ext.tasks import protocol

pytestmark = pytest.mark.addons


@pytest.mark.slow
@pytest.mark.parametrize('precision', [
    pytest.param('float32', marks=pytest.mark.long), 'mixed_bfloat16'])
def test_the_recipes_step_compiles_and_learns(precision):
  tf_keras.mixed_precision.set_global_policy(precision)
  params = experiment.load('funnel_vit_imagenet', params_override=(
      "task.model.backbone.funnel_vit.model_name='vit-nano4',"
      "task.model.backbone.funnel_vit.layout='B1-1(h128)',"
      'task.model.input_size=[20,12,3],'
      'trainer.optimizer_config.warmup.linear.warmup_steps=1'))
  task = task_factory.get_task(params.task)
  model = task.build_model()
  optimizer = task.create_optimizer(params.trainer.optimizer_config)
  # Slots are made on first use, which must not be inside the compiled step.
  optimizer._create_all_weights(model.trainable_variables)
  optimizer.iterations.assign(1)

  @tf.function(jit_compile=True)
  def step(images, labels):
    return task.train_step((images, labels), model, optimizer)['loss']

  images = models.random_images(4, (20, 12))
  labels = tf.constant([1, 2, 3, 4])
  losses = [float(step(images, labels)) for _ in range(10)]
  assert losses[0] == pytest.approx(np.log(1001), rel=1e-3)
  assert np.isfinite(losses).all()
  assert losses[-1] < 0.5 * losses[0]


@pytest.mark.slow
def test_the_evaluation_step_compiles():
  params = experiment.load('funnel_vit_digits', params_override=(
      "task.model.backbone.funnel_vit.layout='B1-1'"))
  task = task_factory.get_task(params.task)
  model = task.build_model()

  @tf.function(jit_compile=True)
  def step(images, labels, weights):
    return task.validation_step((images, (labels, weights)), model)

  logs = step(models.random_images(4), tf.constant([1, 2, 3, 0]),
              tf.constant([1., 1, 1, 0]))
  assert float(logs['loss']) == pytest.approx(np.log(10), rel=1e-4)
  assert float(logs[protocol.NUM_EXAMPLES]) == 3
