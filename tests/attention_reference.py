"""Attention weights and rollout in NumPy, written from the papers."""

import math

import backbone_reference
import numpy as np
import numpy_reference


def attention_weights(query, key_value, layer, key_sizes=1):
  """The weights of a pre-norm layer, [T, D] and [S, D] -> [heads, T, S]."""
  norm = layer._attention_layer_norm
  attention = layer._attention_layer
  q, k = (
      np.einsum('td,dhk->htk', numpy_reference.layer_norm(tokens, norm),
                dense.kernel.numpy()) + dense.bias.numpy()[:, np.newaxis]
      for tokens, dense in ((query, attention._query_dense),
                            (key_value, attention._key_dense)))
  scores = np.exp(q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])) * key_sizes
  return scores / scores.sum(axis=-1, keepdims=True)


def pooling_matrix(tokens, patch_shape, pool_window, pooling, skip,
                   layer=None):
  """What pooled tokens are made of, [T', T]; channel by channel for max."""
  members = numpy_reference.windows(patch_shape, pool_window)
  matrix = np.zeros((skip + len(members), len(tokens)))
  matrix[:skip, :skip] = np.eye(skip)
  for row, window in enumerate(members, start=skip):
    if layer is not None:
      weights = np.abs(numpy_reference.window_weights(
          tokens[skip:], window, patch_shape, pool_window, pooling, layer))
      weights = weights.reshape(len(window), -1)
      matrix[row, [skip + token for token in window]] = (
          weights / weights.sum(axis=0)).mean(axis=1)
      continue
    for token in window:
      if pooling == 'mean':
        matrix[row, skip + token] = 1 / len(window)
        continue
      for channel in range(tokens.shape[1]):
        values = [tokens[skip + other, channel] for other in window]
        if tokens[skip + token, channel] == max(values):
          matrix[row, skip + token] += 1 / tokens.shape[1]
  return matrix


def rollout(image, backbone, residual, config=None):
  """What all last tokens of one image are made of, [T', N]."""
  spec, encoder = backbone.spec, backbone.get_layer('encoder')
  x, skip = backbone_reference.embed(image, backbone, config)
  result = np.eye(len(x))
  layers = iter(encoder._encoder_layers)
  sizes = np.ones(len(x))
  for index, block in enumerate(spec.blocks):
    for position in range(block.num_layers):
      layer, key_value, pooled = next(layers), x, np.eye(len(x))
      gathered_from, key_sizes = np.eye(len(x)), sizes
      if index and not position:
        before = spec.blocks[index - 1]
        if before.hidden_size != block.hidden_size:
          dense = encoder._projections[str(index)]
          key_value = x @ dense.kernel.numpy() + dense.bias.numpy()
        pools = (before.patch_shape, block.pool_window, spec.pooling, skip,
                 numpy_reference.pool_layer(encoder, index))
        pooled = pooling_matrix(key_value, *pools)
        x = numpy_reference.pool(key_value, *pools)
        unpooled_sizes, sizes = sizes, np.concatenate([
            sizes[:skip], [sizes[skip:][window].sum() for window in (
                numpy_reference.windows(*pools[:2]))]])
        key_sizes = unpooled_sizes
        if not spec.pool_query_only:
          key_value, gathered_from, key_sizes = x, pooled, sizes
      if spec.attention_bias == 'none':
        key_sizes = np.ones(len(key_value))
      weights = attention_weights(
          x, key_value, layer, key_sizes).mean(axis=0)
      result = ((1 - residual) * weights @ gathered_from
                + residual * pooled) @ result
      x = numpy_reference.transformer_layer(x, key_value, layer, key_sizes)
  return result
