"""Tests of looking into the encoder: what its layers are given and attend to.
"""

import attention_reference
import models
import numpy as np
import pytest
import tensorflow as tf
import tolerances

from official_ext.modeling import funnel_encoder
from official_ext.modeling import layout as layout_lib
from official_ext.modeling import options as options_lib
from official_ext.modeling import transformer_layer

pytestmark = pytest.mark.numerics


def build(text='B1-2-1', grid=(3, 5), has_class_token=True, **settings):
  """A small encoder with random weights and tokens for it."""
  blocks = layout_lib.resolve(
      layout_lib.parse(text), grid=grid, hidden_size=8, mlp_dim=12,
      num_heads=2, num_prefix_tokens=int(has_class_token))
  encoder = funnel_encoder.FunnelEncoder(blocks, options_lib.EncoderOptions(
      has_class_token=has_class_token, **settings))
  tokens = tf.random.normal([2, blocks[0].num_tokens, 8])
  encoder(tokens)
  models.randomize(encoder)
  return encoder, tokens


@pytest.mark.parametrize('settings', [
    {},
    dict(class_token_only=True),
    dict(pool_query_only=False, pooling='weighted',
         attention_bias='proportional'),
    dict(has_class_token=False),
    dict(fused_layers=False),
    dict(gradient_checkpointing=True),
    dict(dropout_rate=0.5, attention_dropout_rate=0.5),
    dict(text='B1-1(h16, a4)-1'),
], ids=str)
def test_tracing_computes_what_calling_does(settings):
  encoder, tokens = build(**settings)
  num_variables = len(encoder.variables)
  traces, outputs = encoder.trace(tokens)
  np.testing.assert_array_equal(outputs, encoder(tokens, training=False))
  assert len(encoder.variables) == num_variables
  assert [trace.layer for trace in traces] == encoder._encoder_layers
  for trace, after in zip(traces, [*traces[1:], None]):
    result = trace.layer(
        trace.query, trace.key_value, num_outputs=trace.num_outputs)
    if after is None:
      result = encoder._norm(result)
      tolerances.assert_close(result, outputs, length=32)
    elif after.pool is None:
      tolerances.assert_close(result, after.query, length=32)


def test_what_layers_are_given():
  encoder, tokens = build(class_token_only=True)
  traces, _ = encoder.trace(tokens)
  assert [trace.query.shape[1] for trace in traces] == [16, 9, 9, 5]
  assert [trace.num_outputs for trace in traces] == [16, 9, 9, 1]
  assert [trace.pool is None for trace in traces] == [True, False, True, False]
  first, second = traces[1], traces[3]
  assert (first.pool.patch_shape, first.pool.window) == ((15,), (2,))
  assert (second.pool.patch_shape, second.pool.window) == ((8,), (2,))
  for trace in (first, second):
    assert trace.key_value is trace.pool.unpooled
    tolerances.assert_close(
        trace.query[:, 1],
        tf.reduce_mean(trace.pool.unpooled[:, 1:3], axis=1), length=2)
  encoder, tokens = build(pool_query_only=False)
  traces, _ = encoder.trace(tokens)
  assert [trace.key_value for trace in traces] == [None] * 4
  assert traces[1].pool.unpooled.shape == (2, 16, 8)


@pytest.mark.parametrize('fused_layers', [True, False])
def test_attention_weights_against_numpy(fused_layers):
  encoder, tokens = build(
      'B1-1(h16, a4)', fused_layers=fused_layers, class_token_only=True)
  traces, _ = encoder.trace(tokens)
  shapes = [(2, 2, 16, 16), (2, 4, 1, 16)]
  for trace, shape in zip(traces, shapes):
    scores = trace.attention_weights()
    assert scores.shape == shape
    for image in range(2):
      query = trace.query[image].numpy()
      key_value = (query if trace.key_value is None
                   else trace.key_value[image].numpy())
      expected = attention_reference.attention_weights(
          query, key_value, trace.layer)[:, :trace.num_outputs]
      tolerances.assert_close(scores[image], expected, depth=4, length=128)


def test_there_is_nothing_to_see_before_the_first_call():
  encoder, _ = build()
  fresh = funnel_encoder.FunnelEncoder.from_config(encoder.get_config())
  with pytest.raises(ValueError, match='no variables yet. Call it before'):
    fresh.trace(tf.zeros([1, 16, 8]))
  layer = transformer_layer.TransformerLayer(2, 12, name='mine')
  with pytest.raises(ValueError, match='mine has no variables yet'):
    layer.attention_weights(tf.zeros([1, 3, 8]))


def test_the_backbone_traces_images():
  backbone = models.build_backbone((12, 20), layout='B1-1', pooler='gap')
  models.randomize(backbone)
  images = models.random_images(2, (12, 20))
  traces = backbone.trace(images)
  assert [trace.num_outputs for trace in traces] == [15, 8]
  last = traces[-1]
  tokens = backbone.get_layer('encoder')._norm(
      last.layer(last.query, last.key_value))
  tolerances.assert_close(
      tf.reduce_mean(tokens, axis=1), backbone(images)['pre_logits'][:, 0, 0],
      depth=2, length=128)
