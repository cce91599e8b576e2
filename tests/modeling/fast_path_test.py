"""Every switch of the fast path: on against off, the same model."""

import functools
import gc
import itertools

import models
import numpy as np
import proofs
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.configs import backbones

pytestmark = pytest.mark.numerics

OFF = dict(fused_layers=False, class_token_only=False, float32_matmuls=False)
ON = dict(fused_layers=True, class_token_only=True, float32_matmuls=True)
SWITCHES = {
    'fused_layers': dict(fast_path=dict(OFF, fused_layers=True)),
    'class_token_only': dict(fast_path=dict(OFF, class_token_only=True)),
    'float32_matmuls': dict(fast_path=dict(
        OFF, fused_layers=True, float32_matmuls=True)),
    'all': dict(fast_path=ON),
    'gradient_checkpointing': dict(fast_path=OFF, gradient_checkpointing=True),
    'all, gradient_checkpointing': dict(
        fast_path=ON, gradient_checkpointing=True),
}
MODELS = {
    'one block': dict(layout='B2'),
    'three blocks': dict(layout='B1-1-2', layer_scale_init_value=0.5),
    'pooled before the last layer': dict(layout='B2-1'),
    'pooled keys before the last layer': dict(
        layout='B2-1', pool_query_only=False),
    'uneven widths': dict(layout='B1(h64)-2(h128, m96)'),
    'mean over tokens': dict(layout='B1-1', pooler='gap'),
    'tokens': dict(layout='B1-1', pooler='none'),
    'parts of published models': dict(
        layout='B1-1', pooler='token_and_distillation', distillation_token=True,
        class_token_position=False, num_registers=2, norm_before_layers=True,
        patch_bias=False, final_norm='pooled', projection_size=8),
}


def build(**settings):
  tf_keras.backend.clear_session()
  fast_path = backbones.FastPath(**settings.pop('fast_path', OFF))
  return models.build_backbone(
      (12, 16), fast_path=fast_path.as_dict(), **settings)


def outputs_and_gradients(model, images):
  """The endpoint, and the gradient of a fixed sum of it."""
  with tf.GradientTape() as tape:
    tape.watch(images)
    (outputs,) = model(images, training=True).values()
    outputs = tf.cast(outputs, tf.float32)
    weights = np.random.default_rng(3).normal(size=outputs.shape)
    loss = tf.reduce_sum(outputs * weights.astype(np.float32))
  return [outputs, *tape.gradient(loss, [images, *model.trainable_variables])]


# How a model is run; the first is by far the quickest.
MODES = {
    'eager': lambda function: function,
    'traced': tf.function,
    'compiled': functools.partial(tf.function, jit_compile=True),
}


def run_model(name, settings, images, mode='eager'):
  """Names of the variables; endpoint and gradients, from fixed values."""
  model = build(**MODELS[name], **settings)
  models.randomize(model)
  run = MODES[mode](outputs_and_gradients)
  return [variable.name for variable in model.variables], run(model, images)


@functools.cache
def run_plain(name):
  """The same with every switch off."""
  return run_model(name, {}, models.random_images(3, (12, 16)))


def assert_same(name, settings, mode='eager'):
  expected_names, expected = run_plain(name)
  names, found = run_model(
      name, settings, models.random_images(3, (12, 16)), mode)
  assert names == expected_names
  for got, wanted in zip(found, expected, strict=True):
    tolerances.assert_close(
        got, wanted, depth=4, length=128,
        scale=max(1, np.abs(wanted).max()))


# Every switch on the model with all kinds of layers, the default on the others
# too.
CHOSEN = [(name, switch) for name in MODELS for switch in SWITCHES
          if name == 'three blocks' or switch == 'all']


@pytest.mark.slow
@pytest.mark.parametrize('name, switch', CHOSEN)
def test_same_outputs_and_gradients(name, switch):
  assert_same(name, SWITCHES[switch])


# As a training traces it: the default; what is left are long proofs.
@pytest.mark.slow
@pytest.mark.parametrize('name, switch', [
    pytest.param(
        name, switch, marks=() if (name, switch) == ('three blocks', 'all')
        else pytest.mark.long)
    for name, switch in proofs.choose(
        CHOSEN, list(itertools.product(MODELS, SWITCHES)))])
def test_same_outputs_and_gradients_when_traced(name, switch):
  assert_same(name, SWITCHES[switch], 'traced')


@pytest.mark.long
@pytest.mark.parametrize('name', proofs.choose(
    ['three blocks', 'pooled before the last layer', 'tokens'], MODELS))
def test_same_outputs_and_gradients_under_xla(name):
  assert_same(name, SWITCHES['all, gradient_checkpointing'], 'compiled')


def run_precise(settings, mode='eager'):
  """Endpoint and gradients under the policy that is set."""
  model = build(layout='B1-2', **settings)
  models.randomize(model)
  return MODES[mode](outputs_and_gradients)(
      model, models.random_images(3, (12, 16)))


@pytest.fixture(name='errors', scope='module')
def _errors():
  """A function that returns the errors of bfloat16, relative to float32."""
  exact = run_precise({})
  total = max(np.linalg.norm(wanted) for wanted in exact)

  def errors(settings, mode='eager'):
    tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
    # Some gradients, as that of the keys' bias, are zero but for rounding.
    return np.mean([
        np.linalg.norm(got - wanted) / max(
            1e-2 * total, np.linalg.norm(wanted))
        for got, wanted in zip(
            run_precise(settings, mode), exact, strict=True)])

  return errors


@pytest.fixture(name='plain_error', scope='module')
def _plain_error(errors):
  return errors({})


@pytest.mark.slow
@pytest.mark.parametrize('mode', [
    'eager', pytest.param('traced', marks=pytest.mark.long)])
@pytest.mark.parametrize('switch', [
    # In float32 each is compared alone, too.
    switch if switch in ('float32_matmuls', 'all, gradient_checkpointing') else
    pytest.param(switch, marks=pytest.mark.long) for switch in SWITCHES])
def test_under_mixed_bfloat16(switch, mode, errors, plain_error):
  """As near to float32 as Model Garden's layers are, to a factor."""
  # Single gradients differ by chance. Model Garden's mean is 0.013 with
  # oneDNN, which sums in float32, and 0.022 without.
  assert plain_error < tolerances.atol(1, dtype='bfloat16')
  assert errors(SWITCHES[switch], mode) < 1.5 * plain_error


@pytest.mark.parametrize('gradient_checkpointing', [False, True])
def test_a_model_leaves_nothing_behind(gradient_checkpointing):
  # TensorFlow never lets go of a graph with a custom gradient in it.
  counts = []
  for _ in range(2):
    build(layout='B1-1', fast_path=ON,
          gradient_checkpointing=gradient_checkpointing)
    tf_keras.backend.clear_session()
    gc.collect()
    counts.append(
        sum(type(item) is tf.Operation for item in gc.get_objects()))
  assert counts[0] == counts[1]


@pytest.mark.slow
def test_dropout_and_stochastic_depth_act_in_the_fused_layers():
  encoder = {}
  for fused in (True, False):
    tf_keras.utils.set_random_seed(5)
    model = models.build_backbone(
        layout='B2', fast_path=dict(fused_layers=fused),
        init_stochastic_depth_rate=0.5,
        transformer=dict(dropout_rate=0.3, attention_dropout_rate=0.3))
    models.randomize(model)
    images = models.random_images(256)
    still = model(images, training=False)['pre_logits']
    trained = model(images, training=True)['pre_logits']
    again = model(images, training=True)['pre_logits']
    assert np.abs(trained - again).max() > 0.1
    encoder[fused] = np.std(trained - still)
  # The same noise by size; the draws differ.
  assert encoder[True] == pytest.approx(encoder[False], rel=0.1)


def test_checkpoints_do_not_know_the_switches(tmp_path):
  fast, slow = build(layout='B1-1', fast_path={}), build(layout='B1-1')
  models.randomize(fast)
  path = tf.train.Checkpoint(fast).write(str(tmp_path / 'fast'))
  status = tf.train.Checkpoint(slow).read(path)
  status.assert_existing_objects_matched().assert_consumed()
  images = models.random_images(2, (12, 16))
  tolerances.assert_close(
      slow(images)['pre_logits'], fast(images)['pre_logits'], depth=4,
      length=128)
