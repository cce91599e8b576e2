"""Tests of attention in one kernel, without the GPU that has it.

What XLA is asked for equals what JAX asks for; what is wired around the kernels
is tested with others that take and give the same.
"""

import collections
import json
import pathlib

import models
import numpy as np
import proofs
import pytest
import tensorflow as tf
import tf_keras
import tolerances
import xla_programs

from official_ext.modeling import attention
from official_ext.modeling import fused_attention
from official_ext.modeling import hardware

pytestmark = pytest.mark.numerics

FORWARD = fused_attention.FORWARD_TARGET
BACKWARD = fused_attention.BACKWARD_TARGET
# Written by scripts/write_fused_attention_golden.py.
GOLDEN = [json.loads(line) for line in (
    pathlib.Path(__file__).with_name('fused_attention_calls.jsonl')
    .read_text().splitlines()[1:])]
CASES = [call['case'] for call in GOLDEN if call['target'] == FORWARD]


def stand_in_forward(query, key, value):
  scores = tf.matmul(query, key, transpose_b=True) * query.shape[-1] ** -0.5
  weights = tf.nn.softmax(scores)
  return (tf.matmul(weights, value),
          tf.reduce_logsumexp(tf.cast(scores, tf.float32), axis=-1))


def stand_in_backward(query, key, value, statistics, upstream, context):
  scale = query.shape[-1] ** -0.5
  scores = tf.cast(
      tf.matmul(query, key, transpose_b=True), tf.float32) * scale
  weights = tf.cast(tf.exp(scores - statistics[..., None]), query.dtype)
  of_weights = tf.matmul(upstream, value, transpose_b=True)
  mean = tf.reduce_sum(upstream * context, axis=-1, keepdims=True)
  of_scores = weights * (of_weights - mean) * scale
  return (tf.matmul(of_scores, key),
          tf.matmul(of_scores, query, transpose_a=True),
          tf.matmul(weights, upstream, transpose_a=True))


STAND_IN = fused_attention.Kernels(stand_in_forward, stand_in_backward)


def random_heads(num_query_tokens, num_key_tokens, dtype=tf.float32):
  generator = np.random.default_rng(0)
  return [tf.cast(generator.normal(size=(2, 3, length, 8)), dtype)
          for length in (num_query_tokens, num_key_tokens, num_key_tokens)]


def with_gradients(attend, query, key, value):
  with tf.GradientTape() as tape:
    tape.watch([query, key, value])
    context = attend(query, key, value)
    loss = tf.reduce_sum(tf.sin(context))
  return [context, *tape.gradient(loss, [query, key, value])]


@pytest.mark.parametrize('case', CASES, ids=str)
def test_the_calls_are_those_that_jax_makes(case):
  batch, num_heads, num_query_tokens, num_key_tokens, head_size, dtype = case

  @tf.function(jit_compile=True)
  def step(query, key, value):
    return with_gradients(fused_attention.attend, query, key, value)

  query, key = (
      tf.TensorSpec([batch, num_heads, length, head_size], dtype)
      for length in (num_query_tokens, num_key_tokens))
  found = xla_programs.kernel_calls(
      xla_programs.stablehlo(step, query, key, key))
  assert [{'case': case, **call} for call in found] == [
      call for call in GOLDEN if call['case'] == case]


@pytest.mark.parametrize('lengths', [(5, 5), (3, 5), (1, 4)])
def test_what_is_around_the_kernels_gives_the_gradients_of_plain(lengths):
  heads = random_heads(*lengths)
  found = with_gradients(
      lambda *heads: fused_attention.attend(*heads, kernels=STAND_IN), *heads)
  expected = with_gradients(attention.plain, *heads)
  for one, other in zip(found, expected, strict=True):
    tolerances.assert_close(one, other, depth=3, length=8)


def train_step(layout, image_size, **settings):
  """A backbone of one head per layer, of the paper's lengths, and a step."""
  model = models.build_backbone(
      image_size=(image_size, image_size), model_name='vit-b16', layout=layout,
      hidden_size=64, transformer=dict(
          num_heads=1, mlp_dim=16, **settings.pop('transformer', {})),
      fast_path=settings)

  @tf.function(jit_compile=True)
  def step(images):
    with tf.GradientTape() as tape:
      outputs = model(images, training=True)['pre_logits']
      loss = tf.reduce_sum(tf.cast(outputs, tf.float32))
    return tape.gradient(loss, model.trainable_variables)

  return model, step


def program_of(layout='B2-2', image_size=32, batch_size=2, **settings):
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  with hardware.assume_gpu():
    _, step = train_step(layout, image_size, **settings)
    return xla_programs.stablehlo(
        step, tf.TensorSpec([batch_size, image_size, image_size, 3]))


def calls_of(*args, **settings):
  return xla_programs.kernel_calls(program_of(*args, **settings))


# Query and key tokens of each layer but the last, which computes the class
# token alone.
LENGTHS = {
    ('B12', 224): [(197, 197)] * 11,
    ('B6-6', 224): [(197, 197)] * 6 + [(99, 197)] + [(99, 99)] * 4,
    ('B4-4-4', 224): ([(197, 197)] * 4 + [(99, 197)] + [(99, 99)] * 3 +
                      [(50, 99)] + [(50, 50)] * 2),
    ('B12', 384): [(577, 577)] * 11,
    ('B6-6', 384): [(577, 577)] * 6 + [(289, 577)] + [(289, 289)] * 4,
    ('B4-4-4', 384): ([(577, 577)] * 4 + [(289, 577)] + [(289, 289)] * 3 +
                      [(145, 289)] + [(145, 145)] * 2),
}


@pytest.mark.long
@pytest.mark.parametrize('layout, image_size', proofs.choose(
    [('B4-4-4', 224)], list(LENGTHS)))
def test_every_layer_of_the_papers_layouts_attends_by_the_kernel(
    layout, image_size):
  program = program_of(layout, image_size, batch_size=16)
  calls = xla_programs.kernel_calls(program)
  expected = collections.Counter(
      (f'16x1x{queries}x64xbf16', f'16x1x{keys}x64xbf16')
      for queries, keys in LENGTHS[layout, image_size])
  for target in (FORWARD, BACKWARD):
    assert collections.Counter(
        tuple(call['operands'][:2]) for call in calls
        if call['target'] == target) == expected
  # Nothing of the size of its scores is left, in no direction.
  for queries, keys in LENGTHS[layout, image_size]:
    assert f'x{queries}x{keys}x' not in program
    assert f'x{keys}x{queries}x' not in program


@pytest.mark.long
def test_plain_attention_writes_its_scores():
  assert 'tensor<2x1x5x5xbf16>' in program_of('B2', attention='plain')


@pytest.mark.long
def test_all_tokens_of_the_last_layer_are_computed_by_it_if_asked_for():
  assert len(calls_of('B1-1')) == 2
  assert len(calls_of('B1-1', class_token_only=False)) == 4


@pytest.mark.long
@pytest.mark.parametrize('settings', [
    dict(attention='plain'),
    dict(transformer=dict(attention_dropout_rate=0.1)),
], ids=str)
def test_it_is_left_where_it_does_not_serve(settings):
  assert not calls_of(**settings)


def test_it_is_never_called_on_a_cpu():
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  _, step = train_step('B2', 32)
  assert 'custom_call' not in xla_programs.stablehlo(
      step, tf.TensorSpec([2, 32, 32, 3]))


def test_an_old_gpu_and_one_that_is_not_nvidias_have_no_kernel():
  assert 'no GPU' in fused_attention.reason_against_hardware()
  with hardware.assume_gpu((8, 0)):
    assert fused_attention.reason_against_hardware() is None
  with hardware.assume_gpu((7, 5)):
    assert 'capability 7.5' in fused_attention.reason_against_hardware()
  with hardware.assume_gpu(None):
    assert 'capability none' in fused_attention.reason_against_hardware()


@pytest.mark.parametrize('dtype, head_size, is_dropping, reason', [
    (tf.bfloat16, 64, False, None), (tf.float16, 128, False, None),
    (tf.bfloat16, 72, False, None), (tf.float32, 64, False, 'float32'),
    (tf.bfloat16, 136, False, '136'), (tf.bfloat16, 60, False, '60'),
    (tf.bfloat16, 64, True, 'attention_dropout_rate')])
def test_which_layers_it_serves(dtype, head_size, is_dropping, reason):
  found = fused_attention.reason_against_layers(dtype, head_size, is_dropping)
  assert found is None if reason is None else reason in found


@pytest.mark.parametrize('batch_size, jit_compile, dtype, reason', [
    (2, False, 'mixed_bfloat16', 'XLA'), (None, True, 'mixed_bfloat16', 'size'),
    (2, True, 'float32', 'float32')])
def test_where_it_is_demanded_a_training_without_it_is_an_error(
    batch_size, jit_compile, dtype, reason):
  tf_keras.mixed_precision.set_global_policy(dtype)
  with hardware.assume_gpu():
    model, _ = train_step('B1-1', 32, attention='fused')
    specs = tf.TensorSpec([batch_size, 32, 32, 3])
    step = tf.function(
        lambda images: model(images, training=True), jit_compile=jit_compile)
    with pytest.raises(ValueError, match=f"'fused', but .*{reason}"):
      step.get_concrete_function(specs)
    # What is exported is plain.
    graph = tf.function(model).get_concrete_function(specs).graph
  assert not [operation for operation in graph.get_operations()
              if operation.type.startswith('XlaCustomCall')]


@pytest.mark.long
def test_a_step_with_it_is_the_plain_step_to_rounding(monkeypatch):
  """In float32, in which the kernels of the test compute as well."""
  monkeypatch.setattr(fused_attention, 'ELEMENT_TYPES', {tf.float32: 'F32'})
  monkeypatch.setattr(fused_attention, 'CUDNN', STAND_IN)
  images = models.random_images(2, (32, 32))
  results = []
  with hardware.assume_gpu():
    for kind in ('fused', 'plain'):
      model, step = train_step('B2-2', 32, attention=kind)
      models.randomize(model)
      results.append(step(images))
  # What the bias of the keys does cancels out: its gradient is rounding alone.
  scale = max(np.abs(tf.convert_to_tensor(plain)).max() for plain in results[1])
  for fused, plain, variable in zip(
      *results, model.trainable_variables, strict=True):
    tolerances.assert_close(
        fused, plain, depth=8, length=64, scale=scale, message=variable.name)
