"""Tests of recovered tokens, against NumPy and by hand."""

import math

import models
import numpy as np
import numpy_reference
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.modeling import layout as layout_lib
from official_ext.modeling import options as options_lib
from official_ext.modeling import recovery
from official_ext.modeling import token_windows

pytestmark = pytest.mark.numerics

# Even and odd sides, one window and several, every stride.
LAYOUTS = [
    ('B1-1', (4, 4), 'sequence'), ('B1-1-1', (3, 5), 'sequence'),
    ('B1-1(s3)-1', (5, 3), 'sequence'), ('B1-1(s4)-1(s7)', (5, 7), 'sequence'),
    ('B1-1', (3, 5), 'grid'), ('B1-1-1', (7, 7), 'grid'),
    ('B1-1(s4)-1', (5, 3), 'grid'), ('B1-1(s4)-1(s4)', (7, 10), 'grid'),
    ('B1-1-1-1', (14, 14), 'sequence'), ('B1-1-1-1', (14, 14), 'grid')]


def resolve(text, grid, pool_axes, num_prefix_tokens=1):
  return layout_lib.resolve(
      layout_lib.parse(text), grid=grid, hidden_size=8, mlp_dim=12, num_heads=2,
      num_prefix_tokens=num_prefix_tokens, pool_axes=pool_axes)


def random_tokens(block, seed=0):
  return np.random.default_rng(seed).normal(
      size=(2, block.num_tokens, block.hidden_size)).astype(np.float32)


def build(blocks, num_layers, num_registers=0, has_class_token=True, **options):
  """A recovery with random weights, and tokens for it."""
  layer = recovery.Recovery(blocks, num_layers, options_lib.EncoderOptions(
      has_class_token=has_class_token, num_registers=num_registers, **options))
  tokens = random_tokens(blocks[-1]), random_tokens(blocks[0], seed=1)
  layer(*tokens)
  models.randomize(layer)
  return layer, *tokens


def owners(blocks, grid):
  """The token of the last block that each patch went into, [N]."""
  return token_windows.owners(
      token_windows.footprints(blocks)[-1], grid).ravel()


@pytest.mark.parametrize('layout', LAYOUTS, ids=str)
def test_tokens_are_repeated_over_their_patches(layout):
  blocks = resolve(*layout, num_prefix_tokens=0)
  tokens = random_tokens(blocks[-1])
  np.testing.assert_array_equal(
      recovery.up_sample(tf.constant(tokens), blocks),
      tokens[:, owners(blocks, layout[1])])


def test_tokens_are_repeated_by_hand():
  def repeated(*layout):
    blocks = resolve(*layout, num_prefix_tokens=0)
    numbers = tf.range(float(math.prod(blocks[-1].patch_shape)))
    return recovery.up_sample(
        numbers[tf.newaxis, :, tf.newaxis], blocks)[0, :, 0].numpy().tolist()

  # Five pairs and one alone; of these six, three pairs.
  assert repeated('B1-1-1', (1, 11), 'sequence') == [
      0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
  assert repeated('B1-1(s4)', (3, 5), 'grid') == [
      0, 0, 1, 1, 2,
      0, 0, 1, 1, 2,
      3, 3, 4, 4, 5]
  # Columns by two and then rows by two.
  assert repeated('B1-1-1', (3, 3), 'grid') == [0, 0, 1, 0, 0, 1, 2, 2, 3]


def recovered(encoded, first_block, layer, blocks, grid, skip):
  """One image in NumPy, [T', D'] and [T, D] -> [T, D]."""
  x = encoded.astype(np.float64)
  if blocks[0].hidden_size != blocks[-1].hidden_size:
    x = x @ layer._projection.kernel.numpy() + layer._projection.bias.numpy()
  first = first_block.astype(np.float64)
  if layer._options.has_final_norm:
    first = numpy_reference.layer_norm(first, layer._first_norm)
  x = np.concatenate([x[:skip], x[skip:][owners(blocks, grid)]]) + first
  for one in layer._recovery_layers:
    x = numpy_reference.transformer_layer(x, x, one)
  return (numpy_reference.layer_norm(x, layer._norm)
          if layer._recovery_layers else x)


@pytest.mark.parametrize('layout, num_layers, prefix', [
    (('B1-1-1', (3, 5), 'sequence'), 2, {}),
    (('B1-1(s4)', (5, 3), 'grid'), 0, dict(num_registers=3)),
    (('B1-1(s3)', (3, 5), 'sequence'), 1, dict(has_class_token=False)),
    (('B1-1', (3, 5), 'grid'), 1, dict(has_final_norm=False)),
    (('B1-1(s4, h64)', (5, 3), 'grid'), 1, dict(
        num_registers=2, has_distillation_token=True)),
], ids=str)
def test_agrees_with_numpy(layout, num_layers, prefix):
  skip = sum(int(number) for name, number in {
      'has_class_token': True, **prefix}.items() if name != 'has_final_norm')
  blocks = resolve(*layout, num_prefix_tokens=skip)
  layer, encoded, first_block = build(blocks, num_layers, **prefix)
  found = layer(encoded, first_block)
  assert found.shape == first_block.shape
  for image, token, first in zip(found, encoded, first_block):
    tolerances.assert_close(
        image, recovered(token, first, layer, blocks, layout[1], skip),
        depth=4 * (num_layers + 1), length=64)


def test_one_block_was_never_pooled():
  blocks = resolve('B2', (3, 5), 'sequence')
  layer, encoded, first_block = build(blocks, 0)
  assert not layer.variables
  np.testing.assert_array_equal(layer(encoded, first_block), encoded)
  layer, encoded, first_block = build(blocks, 1)
  transformer, = layer._recovery_layers
  for image, token in zip(layer(encoded, first_block), encoded):
    token = token.astype(np.float64)
    tolerances.assert_close(image, numpy_reference.layer_norm(
        numpy_reference.transformer_layer(token, token, transformer),
        layer._norm), depth=8, length=12)


def test_gradients_sum_over_the_patches_of_a_token():
  blocks = resolve('B1-1(s4)', (3, 5), 'grid', num_prefix_tokens=0)
  tokens = tf.constant(random_tokens(blocks[-1]))
  with tf.GradientTape() as tape:
    tape.watch(tokens)
    total = tf.reduce_sum(recovery.up_sample(tokens, blocks))
  gradient = tape.gradient(total, tokens)
  np.testing.assert_array_equal(
      gradient[1, :, 0], token_windows.sizes(blocks)[-1])


def test_layers_are_computed_again_in_the_backward_pass():
  blocks = resolve('B1-1', (3, 5), 'sequence')
  gradients = []
  for again in (False, True):
    layer, *tokens = build(blocks, 2, gradient_checkpointing=again)
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(tf.sin(layer(*tokens)))
    gradients.append(tape.gradient(loss, layer.trainable_variables))
  assert all(one is not None for one in gradients[0])
  for plain, again in zip(*gradients, strict=True):
    tolerances.assert_close(again, plain, depth=8, length=64)


def test_rebuilds_from_its_config():
  blocks = resolve('B1-1(h64)', (3, 5), 'sequence')
  layer = recovery.Recovery(
      blocks, 1, options_lib.EncoderOptions(activation='gelu_erf'),
      tf_keras.regularizers.l2(1e-3), name='mine')
  copy = tf_keras.layers.deserialize(tf_keras.layers.serialize(layer))
  assert copy.get_config() == layer.get_config()
  tokens = random_tokens(blocks[-1]), random_tokens(blocks[0], seed=1)
  for one in (layer, copy):
    one(*tokens)
  copy.set_weights(layer.get_weights())
  np.testing.assert_array_equal(copy(*tokens), layer(*tokens))
