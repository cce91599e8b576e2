"""Tests of layer-wise learning-rate decay."""

from official.core import task_factory
from official.core import train_utils
import pytest
import tensorflow as tf

from official_ext.optimization import layerwise
from official_ext.params import experiment

LAYOUT = "task.model.backbone.funnel_vit.layout='B1-1(h128)'"
ADAMW = "trainer.optimizer_config.optimizer.type='adamw_layerwise'"
SGD = "trainer.optimizer_config.optimizer.type='sgd_layerwise'"
SETTINGS = 'trainer.optimizer_config.optimizer'


@pytest.mark.parametrize('name, layer', [
    ('conv2d/kernel:0', 0), ('conv2d_3/bias/replica_1:0', 0),
    ('cls/cls:0', 0), ('distillation/cls:0', 0), ('encoder/registers:0', 0),
    ('encoder/registers/replica_1:0', 0),
    ('encoder/norm_before_layers/gamma:0', 0),
    ('attention_pooling/probe:0', 4), ('pooled_norm/gamma:0', 4),
    ('projection/kernel:0', 4),
    ('encoder/posembed_input/pos_embedding:0', 0),
    ('encoder/layer_1/intermediate/kernel:0', 1),
    ('encoder/layer_3/self_attention/query/kernel:0', 3),
    ('encoder/projection_before_layer_2/kernel:0', 2),
    ('encoder/pool_before_layer_2/projection:0', 2),
    ('encoder/layer_normalization/gamma:0', 4),
    ('pre_logits/kernel:0', 4), ('dense/kernel:0', 4),
])
def test_the_factor_of_a_variable(name, layer):
  assert layerwise.learning_rate_factor(name, 0.5, 3) == 0.5 ** (4 - layer)


def test_a_layer_beyond_the_last_is_refused():
  with pytest.raises(ValueError, match=(
      'num_layers of the layer-wise optimizer is 2, but there is the variable '
      'encoder/layer_3/mlp/kernel:0, which would learn faster')):
    layerwise.learning_rate_factor('encoder/layer_3/mlp/kernel:0', 0.5, 2)


def build(override):
  params = experiment.load('funnel_vit_digits', params_override=(
      f'{LAYOUT},{override},'
      'trainer.optimizer_config.warmup.linear.warmup_steps=1'))
  task = task_factory.get_task(params.task)
  return (task.build_model(),
          task.create_optimizer(params.trainer.optimizer_config),
          params.trainer.optimizer_config.optimizer.get())


@pytest.mark.slow
@pytest.mark.parametrize('kind, num_steps', [
    (ADAMW, 1), *(pytest.param(*case, marks=pytest.mark.long)
                  for case in ((SGD, 1), (ADAMW, 3), (SGD, 3)))])
def test_every_update_shrinks_by_its_factor(kind, num_steps):
  key = 'adamw' if kind == ADAMW else 'sgd'
  weight_decay = (f',{SETTINGS}.adamw.weight_decay_rate=0.1,'
                  f'{SETTINGS}.adamw_layerwise.weight_decay_rate=0.1,'
                  f'{SETTINGS}.adamw_layerwise.gradient_clip_norm=0'
                  if kind == ADAMW else '')
  # With a decay of 1 it is the optimizer that it is built on.
  changes = {}
  for name, override in (
      ('plain', f"{SETTINGS}.type='{key}'"),
      ('one', f'{kind},{SETTINGS}.{key}_layerwise.layer_decay=1'),
      ('half', f'{kind},{SETTINGS}.{key}_layerwise.layer_decay=0.5')):
    model, optimizer, config = build(override + weight_decay)
    if name != 'plain':
      assert config.num_layers == 2
    for variable in model.trainable_variables:
      variable.assign(tf.ones_like(variable))
    optimizer.iterations.assign(1)
    for _ in range(num_steps):
      optimizer.apply_gradients(
          [(0.1 * tf.ones_like(v), v) for v in model.trainable_variables])
    changes[name] = [v.numpy() - 1 for v in model.trainable_variables]
  names = [v.name for v in model.trainable_variables]
  for name, plain, one, half in zip(
      names, changes['plain'], changes['one'], changes['half']):
    assert abs(plain).max() > 1e-5
    tf.debugging.assert_near(one, plain, rtol=1e-4, message=name)
    # Weight decay works on what the first steps left, hence only about.
    tf.debugging.assert_near(
        half, plain * layerwise.learning_rate_factor(name, 0.5, 2),
        rtol=2e-2, message=name)


def test_a_decay_that_is_none():
  with pytest.raises(ValueError, match='is 0.0, but must be a number above 0'):
    build(f'{SGD},{SETTINGS}.sgd_layerwise.layer_decay=0.0')


@pytest.mark.addons
def test_the_saved_configuration_is_read_again(tmp_path):
  params = experiment.load('funnel_vit_digits', params_override=ADAMW)
  train_utils.serialize_config(params, str(tmp_path))
  saved = experiment.load_saved(str(tmp_path))
  optimizer = saved.trainer.optimizer_config.optimizer
  assert optimizer.type == 'adamw_layerwise'
  assert optimizer.get().num_layers == 6
