"""Whole backbones in NumPy: what published ViTs have around their layers.

Written from the libraries that published them (timm, transformers,
big_vision), whose order of things it follows, and not from our code. What a
model has is read off its configuration.
"""

import numpy as np
import numpy_reference


def embed(image, backbone, config=None):
  """What the first layer is given, [T, D], and how many are no patches."""
  config = config or {}
  convolution, = (layer for layer in backbone.layers
                  if hasattr(layer, 'kernel_size'))
  encoder = backbone.get_layer('encoder')
  (height, width), size = backbone.spec.grid, backbone.spec.patch_size
  patches = image[:height * size, :width * size].reshape(
      height, size, width, size, 3).transpose(0, 2, 1, 3, 4)
  kernel = convolution.kernel.numpy()
  tokens = patches.reshape(height * width, -1) @ kernel.reshape(
      -1, kernel.shape[-1])
  if config.get('patch_bias', True):
    tokens = tokens + convolution.bias.numpy()
  names = {layer.name for layer in backbone.layers}
  prefix = [backbone.get_layer(name).cls.numpy()[0]
            for name in ('cls', 'distillation') if name in names]
  positions = encoder._pos_embed.pos_embedding.numpy()[0]
  if config.get('class_token_position', True):
    tokens = np.concatenate([*prefix, tokens]) + positions
  else:
    tokens = np.concatenate([*prefix, tokens + positions])
  skip = len(prefix)
  registers = config.get('num_registers', 0)
  if registers:
    tokens = np.concatenate(
        [tokens[:skip], encoder._registers.numpy()[0], tokens[skip:]])
  if config.get('norm_before_layers'):
    tokens = numpy_reference.layer_norm(tokens, encoder._norm_before_layers)
  return tokens, skip + registers


def map_head(tokens, layer):
  """big_vision's MAPHead on one image, [T, D] -> [D]."""
  probe = layer._probe.numpy()[0]
  x = numpy_reference.attention(probe, tokens, layer._attention_layer)
  hidden = numpy_reference.layer_norm(x, layer._norm)
  hidden = numpy_reference.gelu(
      hidden @ layer._intermediate_dense.kernel.numpy()
      + layer._intermediate_dense.bias.numpy())
  return (x + hidden @ layer._output_dense.kernel.numpy()
          + layer._output_dense.bias.numpy())[0]


def features(image, backbone, config):
  """What the head is given of one image, or the tokens."""
  spec, encoder = backbone.spec, backbone.get_layer('encoder')
  x, skip = embed(image, backbone, config)
  x = numpy_reference.run_blocks(
      x, encoder, spec.blocks, pooling=spec.pooling,
      pool_query_only=spec.pool_query_only, num_prefix_tokens=skip,
      attention_bias=spec.attention_bias)
  final_norm = config.get('final_norm', 'tokens')
  if final_norm == 'tokens':
    x = numpy_reference.layer_norm(x, encoder._norm)
  pooler = config.get('pooler', 'token')
  if pooler == 'none':
    return x
  if pooler == 'map':
    read = [map_head(x, backbone.get_layer('attention_pooling'))]
  else:
    mean = x[skip:].mean(axis=0)
    read = {'token': x[:1], 'gap': [mean], 'token_and_mean': [x[0], mean],
            'token_and_distillation': x[:2]}[pooler]
  if final_norm == 'pooled':
    norm = backbone.get_layer('pooled_norm')
    read = [numpy_reference.layer_norm(one, norm) for one in read]
  x = np.concatenate(list(read))
  if config.get('projection_size'):
    x = x @ backbone.get_layer('projection').kernel.numpy()
  return x
