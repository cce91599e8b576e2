"""Tests of the registered recipes on the variables of real models."""

import re

import models
from official.core import task_factory
import pytest
import tensorflow as tf

from official_ext.params import experiment

pytestmark = pytest.mark.addons

SMALL = (
    "task.model.backbone.funnel_vit.model_name='vit-nano4',"
    "task.model.backbone.funnel_vit.layout='B1-1(h128)',"
    'task.model.backbone.funnel_vit.layer_scale_init_value=0.1,'
    'task.model.input_size=[16,16,3]')
NOT_DECAYED = re.compile(
    r'(bias|gamma|beta|pos_embedding|/cls)(/replica_\d+)?:0$')


def decayed_variables(strategy):
  params = experiment.load('funnel_vit_imagenet', params_override=SMALL)
  task = task_factory.get_task(params.task)
  with strategy.scope():
    model = task.build_model()
    optimizer = task.create_optimizer(params.trainer.optimizer_config)
  names = [
      component.name for variable in model.trainable_variables
      for component in strategy.experimental_local_results(variable)]
  return names, {name for name in names
                 if optimizer._do_use_weight_decay(name)}


@pytest.mark.parametrize('num_replicas', [1, 2])
def test_weight_decay_leaves_out_what_it_should(num_replicas):
  names, decayed = decayed_variables(models.mirrored(num_replicas))
  kernels = {name for name in names if not NOT_DECAYED.search(name)}
  assert decayed == kernels
  assert all('/kernel' in name for name in decayed)
  # Patch, query, key, value, output, two MLP layers per block, projection,
  # pre-logits, head.
  assert len(decayed) == num_replicas * (1 + 6 + 1 + 6 + 1 + 1)
  left_out = ' '.join(set(names) - decayed)
  for kind in ('/bias', '/gamma', '/beta', '/layerscale_gamma', 'pos_embedding',
               'cls/cls'):
    assert kind in left_out
  if num_replicas == 2:
    assert any('replica_1' in name for name in decayed)


@pytest.mark.slow
def test_weight_decay_shrinks_the_kernels_alone():
  params = experiment.load('funnel_vit_imagenet', params_override=SMALL + (
      ',trainer.optimizer_config.warmup.linear.warmup_steps=1'))
  task = task_factory.get_task(params.task)
  model = task.build_model()
  optimizer = task.create_optimizer(params.trainer.optimizer_config)
  optimizer.iterations.assign(1)
  before = {v.name: v.numpy() for v in model.trainable_variables}
  optimizer.apply_gradients(
      [(tf.zeros_like(v), v) for v in model.trainable_variables])
  factor = 1 - 0.3 * float(optimizer.learning_rate(1))
  assert factor < 0.9995
  for variable in model.trainable_variables:
    expected = before[variable.name]
    if not NOT_DECAYED.search(variable.name):
      expected = expected * factor
    tf.debugging.assert_near(variable, expected, atol=1e-7)
