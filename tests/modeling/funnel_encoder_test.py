"""Tests of the encoder against NumPy."""

import itertools

import models
import numpy as np
import numpy_reference
import pytest
import tensorflow as tf
import tf_keras
import tolerances

from official_ext.modeling import funnel_encoder
from official_ext.modeling import layout as layout_lib
from official_ext.modeling import options as options_lib

pytestmark = pytest.mark.numerics


def blocks_of(text, grid, **settings):
  return layout_lib.resolve(
      layout_lib.parse(text), grid=grid, hidden_size=8, mlp_dim=12,
      num_heads=2, **settings)


CASES = {
    'one block': ('B2', (3, 5), {}),
    'two blocks': ('B2-2', (4, 4), {}),
    'odd lengths': ('B1-1-1', (3, 5), {}),
    'stride 4': ('B1-2(s4)', (4, 4), {}),
    'grid': ('B1-1-1', (3, 5), dict(pool_axes='grid')),
    'stride 3': ('B1-1(s3)', (2, 5), {}),
    'grid, 2 x 2': ('B1-1(s4)-1', (5, 5), dict(pool_axes='grid')),
    'no class token': ('B1-1-1', (3, 5), dict(num_prefix_tokens=0)),
    'uneven widths': ('B1-2(h16, a4)-1(h4, a1, m6)', (4, 4), {}),
}


# Each case with every setting, and every pair of settings; the other halves are
# long proofs.
@pytest.mark.parametrize('case, pool_query_only, pooling', [
    pytest.param(case, pool_query_only, pooling, marks=() if (
        index + pool_query_only + (pooling == 'max')) % 2 else pytest.mark.long)
    for index, case in enumerate(CASES) for pool_query_only in (True, False)
    for pooling in ('mean', 'max')])
def test_agrees_with_numpy(case, pool_query_only, pooling):
  check_against_numpy(
      *CASES[case], pooling=pooling, pool_query_only=pool_query_only)


@pytest.mark.parametrize('case', ['odd lengths', 'uneven widths'])
def test_returns_the_tokens_of_every_block(case):
  text, grid, layout_settings = CASES[case]
  blocks = blocks_of(text, grid, **layout_settings)
  encoder = funnel_encoder.FunnelEncoder(blocks, options_lib.EncoderOptions())
  tokens = np.random.default_rng(1).normal(
      size=(2, blocks[0].num_tokens, 8)).astype(np.float32)
  encoder(tokens)
  models.randomize(encoder)
  encoded, outputs = encoder(tokens, returns_blocks=True)
  np.testing.assert_array_equal(encoded, encoder(tokens))
  assert len(outputs) == len(blocks)
  positions = encoder._pos_embed.pos_embedding.numpy()[0]
  for number, found in enumerate(outputs):
    for image, output in zip(tokens.astype(np.float64), found):
      tolerances.assert_close(output, numpy_reference.run_blocks(
          image + positions, encoder, blocks[:number + 1], pooling='mean',
          pool_query_only=True, num_prefix_tokens=1), depth=12, length=16)


def test_blocks_are_not_returned_where_one_token_is_computed():
  blocks = blocks_of('B1-1', (4, 4))
  encoder = funnel_encoder.FunnelEncoder(
      blocks, options_lib.EncoderOptions(class_token_only=True))
  with pytest.raises(ValueError, match='set class_token_only=False'):
    encoder(tf.zeros([1, 17, 8]), returns_blocks=True)


def check_against_numpy(text, grid, layout_settings, pooling='mean',
                        pool_query_only=True, attention_bias='none'):
  """Compares two images of an encoder with random weights."""
  blocks = blocks_of(text, grid, **layout_settings)
  num_prefix_tokens = layout_settings.get('num_prefix_tokens', 1)
  encoder = funnel_encoder.FunnelEncoder(blocks, options_lib.EncoderOptions(
      pooling=pooling, pool_query_only=pool_query_only,
      attention_bias=attention_bias, has_class_token=bool(num_prefix_tokens)))
  tokens = np.random.default_rng(1).normal(
      size=(2, blocks[0].num_tokens, 8)).astype(np.float32)
  encoder(tokens)
  models.randomize(encoder)
  output = encoder(tokens)
  assert output.shape == (2, blocks[-1].num_tokens, blocks[-1].hidden_size)
  for image in range(2):
    expected = numpy_reference.encoder(
        tokens[image].astype(np.float64), encoder, blocks, pooling=pooling,
        pool_query_only=pool_query_only, attention_bias=attention_bias,
        num_prefix_tokens=num_prefix_tokens)
    tolerances.assert_close(
        output[image], expected, depth=sum(b.num_layers for b in blocks),
        length=16)


# Each addition with every setting; the others are long proofs.
@pytest.mark.parametrize('case, pooling, attention_bias, pool_query_only', [
    ('odd lengths', 'conv', 'proportional', True),
    ('grid, 2 x 2', 'weighted', 'proportional', False),
    ('stride 3', 'max', 'proportional', True),
    *(pytest.param(case, *choice, marks=pytest.mark.long) for case in CASES
      for choice in itertools.product(
          ('mean', 'conv', 'weighted'), ('none', 'proportional'),
          (True, False)) if choice[:2] != ('mean', 'none'))])
def test_additions_agree_with_numpy(
    case, pooling, attention_bias, pool_query_only):
  check_against_numpy(
      *CASES[case], pooling=pooling, attention_bias=attention_bias,
      pool_query_only=pool_query_only)


def test_equal_sizes_without_a_class_token_have_no_bias():
  blocks = blocks_of('B1-1', (2, 2), num_prefix_tokens=0)
  tokens = tf.random.normal([2, 4, 8])
  outputs = []
  for bias in ('none', 'proportional'):
    encoder = funnel_encoder.FunnelEncoder(blocks, options_lib.EncoderOptions(
        attention_bias=bias, has_class_token=False))
    encoder(tokens)
    models.randomize(encoder)
    outputs.append(encoder(tokens))
  np.testing.assert_array_equal(*outputs)


def test_pool_query_only_changes_the_result():
  blocks = blocks_of('B1-1', (4, 4))
  tokens = tf.random.normal([1, 17, 8])
  outputs = []
  for pool_query_only in (True, False):
    encoder = funnel_encoder.FunnelEncoder(
        blocks, options_lib.EncoderOptions(pool_query_only=pool_query_only))
    encoder(tokens)
    models.randomize(encoder)
    outputs.append(encoder(tokens).numpy())
  assert np.abs(outputs[0] - outputs[1]).max() > 1e-2


def test_a_projection_stands_only_where_widths_differ():
  encoder = funnel_encoder.FunnelEncoder(
      blocks_of('B1-1-1(h16, a4)-1(h16, a4)', (4, 4)))
  encoder(tf.zeros([1, 17, 8]))
  assert sorted(encoder._projections) == ['2']
  assert encoder._projections['2'].kernel.shape == (8, 16)
  assert encoder._projections['2'].bias.shape == (16,)
  names = [variable.name for variable in encoder.trainable_variables]
  assert len([name for name in names if 'projection' in name]) == 2


def test_layers_get_their_settings():
  encoder = funnel_encoder.FunnelEncoder(
      blocks_of('B2-2', (4, 4)),
      options_lib.EncoderOptions(
          dropout_rate=0.3, attention_dropout_rate=0.4,
          init_stochastic_depth_rate=0.2, layer_scale_init_value=0.5),
      kernel_regularizer=tf_keras.regularizers.l2(1e-3))
  encoder(tf.zeros([1, 17, 8]))
  rates = [layer.get_config()['stochastic_depth_rate']
           for layer in encoder._encoder_layers]
  np.testing.assert_allclose(rates, [0.05, 0.1, 0.15, 0.2])
  config = encoder._encoder_layers[2].get_config()
  assert config['options'] == encoder.get_config()['options']
  assert config['options']['attention_dropout_rate'] == 0.4
  assert encoder._dropout.rate == 0.3
  scale = encoder._encoder_layers[0]._layer_scale_attn.gamma
  np.testing.assert_allclose(scale, np.full([1, 1, 8], 0.5))
  assert config['kernel_regularizer'] is not None


def test_rebuilds_from_its_config():
  encoder = funnel_encoder.FunnelEncoder(
      blocks_of('B1-1(h16, a4)', (4, 4), num_prefix_tokens=5),
      options_lib.EncoderOptions(
          pooling='weighted', pool_query_only=False,
          attention_bias='proportional', dropout_rate=0.1,
          attention_dropout_rate=0.2, init_stochastic_depth_rate=0.3,
          layer_scale_init_value=0.4, activation='gelu_quick',
          norm_epsilon=1e-5, original_init=False, has_distillation_token=True,
          num_registers=3, class_token_position=False, norm_before_layers=True,
          has_final_norm=False),
      kernel_regularizer=tf_keras.regularizers.l2(1e-3))
  config = encoder.get_config()
  copy = tf_keras.layers.deserialize(tf_keras.layers.serialize(encoder))
  assert copy.get_config() == config
  # The registers are the encoder's own.
  tokens = tf.random.normal([2, 18, 8])
  encoder(tokens)
  copy(tokens)
  for source, target in zip(encoder.variables, copy.variables, strict=True):
    target.assign(source)
  np.testing.assert_array_equal(encoder(tokens), copy(tokens))


def test_another_image_size_is_refused():
  encoder = funnel_encoder.FunnelEncoder(blocks_of('B1-1', (4, 4)))
  with pytest.raises(ValueError, match='laid out for 17 tokens of size 8'):
    encoder(tf.zeros([1, 26, 8]))
