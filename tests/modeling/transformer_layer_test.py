"""Parity of the transformer layer with Model Garden's own."""

import models
import numpy as np
from official.modeling import activations
from official.vision.modeling.layers import nn_blocks
import pytest
import tensorflow as tf
import tolerances

from official_ext.modeling import options as options_lib
from official_ext.modeling import transformer_layer

pytestmark = pytest.mark.numerics

SIZE = 16


def build_pair(folder, **settings):
  """Model Garden's layer and ours, with the same random weights."""
  garden = nn_blocks.TransformerEncoderBlock(
      num_attention_heads=4, inner_dim=24, inner_activation=activations.gelu,
      norm_first=True, norm_epsilon=1e-6,
      layer_scale_init_value=settings.get('layer_scale_init_value', 0.0))
  ours = transformer_layer.TransformerLayer(
      4, 24, options_lib.EncoderOptions(**settings))
  tokens = tf.zeros([1, 3, SIZE])
  garden([tokens, tokens, None])
  ours(tokens)
  models.randomize(garden)
  path = tf.train.Checkpoint(layer=garden).write(str(folder / 'layer'))
  status = tf.train.Checkpoint(layer=ours).read(path)
  status.assert_existing_objects_matched().assert_consumed()
  return garden, ours


SETTINGS = [{}, dict(fused_layers=False), dict(layer_scale_init_value=0.5)]
NUM_TOKENS = [(None, None), (None, 1), (9, None), (9, 1)]


# Every pair of what is varied; the other halves are long proofs.
@pytest.mark.parametrize('settings, num_keys, num_outputs, training', [
    pytest.param(settings, num_keys, num_outputs, training, marks=() if (
        row + column + training) % 2 else pytest.mark.long)
    for row, settings in enumerate(SETTINGS)
    for column, (num_keys, num_outputs) in enumerate(NUM_TOKENS)
    for training in (False, True)], ids=str)
def test_agrees_with_model_gardens_layer(
    tmp_path, settings, num_keys, num_outputs, training):
  garden, ours = build_pair(tmp_path, **settings)
  query = tf.random.normal([2, 5, SIZE])
  key_value = num_keys and tf.random.normal([2, num_keys, SIZE])
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(query)
    theirs = garden(
        query if key_value is None else [query, key_value, None],
        output_range=num_outputs, training=training)
    found = ours(query, key_value, num_outputs=num_outputs, training=training)
    losses = [tf.reduce_sum(tf.sin(outputs)) for outputs in (theirs, found)]
  assert found.shape == theirs.shape
  tolerances.assert_close(found, theirs, depth=2, length=SIZE + 24)
  expected = tape.gradient(losses[0], [query, *garden.trainable_variables])
  gradients = tape.gradient(losses[1], [query, *ours.trainable_variables])
  # Some, as that of the keys' bias, are zero but for rounding.
  scale = max(np.abs(gradient).max() for gradient in expected)
  for theirs, mine in zip(expected, gradients, strict=True):
    assert theirs.shape == mine.shape
    tolerances.assert_close(
        mine, theirs, depth=4, length=SIZE + 24, scale=scale)


def test_epsilon_of_the_layer_norms_acts():
  tokens = 1e-3 * tf.random.normal([1, 3, SIZE])
  outputs = []
  for epsilon in (1e-6, 1e-3):
    layer = transformer_layer.TransformerLayer(
        4, 24, options_lib.EncoderOptions(norm_epsilon=epsilon))
    layer(tokens)
    models.randomize(layer)
    outputs.append(layer(tokens).numpy())
  assert np.abs(outputs[0] - outputs[1]).max() > 0.1


@pytest.mark.parametrize('activation', ['gelu_erf', 'gelu_quick'])
@pytest.mark.parametrize('fused_layers', [False, True])
def test_the_mlp_takes_the_chosen_gelu(activation, fused_layers):
  layer = transformer_layer.TransformerLayer(
      4, 24, options_lib.EncoderOptions(
          activation=activation, fused_layers=fused_layers))
  tokens = tf.random.normal([2, 3, SIZE])
  layer(tokens)
  models.randomize(layer)
  attended = tokens + layer._attention(
      *layer._query_key_value(tokens, None, False)[0], training=False)
  hidden = layer._intermediate_dense(layer._output_layer_norm(attended))
  activated = (tf.nn.gelu(hidden, approximate=False)
               if activation == 'gelu_erf' else tf.nn.swish(hidden, 1.702))
  tolerances.assert_close(
      layer(tokens), attended + layer._output_dense(activated), length=24)


def test_a_pooled_key_counts_as_the_equal_keys_that_it_stands_for():
  tokens = tf.random.normal([2, 3, SIZE])
  # One patch three times, another twice, after a class token.
  repeated = tf.gather(tokens, [0, 1, 1, 1, 2, 2], axis=1)
  plain = transformer_layer.TransformerLayer(4, 24)
  counting = transformer_layer.TransformerLayer(4, 24, key_sizes=[1, 3, 2])
  for layer in (plain, counting):
    layer(tokens)
    models.randomize(layer)
  expected = plain(tokens, repeated)
  tolerances.assert_close(counting(tokens), expected, depth=2, length=SIZE + 24)
  tolerances.assert_close(
      counting(tokens, num_outputs=1), expected[:, :1], depth=2,
      length=SIZE + 24)
  assert np.abs(plain(tokens) - expected).max() > 0.05
  # What is told of it is what it does.
  told = plain.attention_weights(tokens, repeated).numpy()
  tolerances.assert_close(
      counting.attention_weights(tokens), np.stack([
          told[..., 0], told[..., 1:4].sum(-1), told[..., 4:].sum(-1)], -1),
      length=SIZE)


def test_rebuilds_from_its_config():
  layer = transformer_layer.TransformerLayer(
      4, 24, options_lib.EncoderOptions(activation='gelu_erf'),
      stochastic_depth_rate=0.1, key_sizes=[1, 2, 2], name='mine')
  copy = transformer_layer.TransformerLayer.from_config(layer.get_config())
  assert copy.get_config() == layer.get_config()
  assert copy.get_config()['key_sizes'] == (1, 2, 2)
  assert copy.name == 'mine'
