"""Funnel-ViT in NumPy, written from the paper and not from our code.

Takes the weights of a built model and computes its forward pass with loops
where loops are clearer. Slow and plain on purpose.
"""

import math

import numpy as np


def layer_norm(x, layer):
  gamma, beta = layer.gamma.numpy(), layer.beta.numpy()
  mean = x.mean(axis=-1, keepdims=True)
  variance = x.var(axis=-1, keepdims=True)
  return (x - mean) / np.sqrt(variance + 1e-6) * gamma + beta


def gelu(x):
  return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def attention(query, key_value, layer, key_sizes=None):
  """Multi-head attention of one image, [T, D] and [S, D] -> [T, D].

  A key that stands for several patches counts as often.
  """
  def project(x, dense):
    kernel, bias = dense.kernel.numpy(), dense.bias.numpy()
    return np.einsum('td,dhk->htk', x, kernel) + bias[:, np.newaxis]

  q = project(query, layer._query_dense)
  k = project(key_value, layer._key_dense)
  v = project(key_value, layer._value_dense)
  output = 0
  for head in range(q.shape[0]):
    scores = q[head] @ k[head].T / math.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    if key_sizes is not None:
      weights = weights * key_sizes
    weights /= weights.sum(axis=-1, keepdims=True)
    output = output + weights @ v[head] @ layer._output_dense.kernel.numpy()[
        head]
  return output + layer._output_dense.bias.numpy()


def transformer_layer(query, key_value, layer, key_sizes=None):
  """A pre-norm layer; the residual is the query as it came."""
  normed_query = layer_norm(query, layer._attention_layer_norm)
  normed_key_value = layer_norm(key_value, layer._attention_layer_norm)
  x = query + attention(normed_query, normed_key_value, layer._attention_layer,
                        key_sizes)
  hidden = layer_norm(x, layer._output_layer_norm)
  hidden = gelu(hidden @ layer._intermediate_dense.kernel.numpy()
                + layer._intermediate_dense.bias.numpy())
  return x + (hidden @ layer._output_dense.kernel.numpy()
              + layer._output_dense.bias.numpy())


def windows(patch_shape, pool_window):
  """The row-major patch indices of every window, in order."""
  if len(patch_shape) == 1:
    count, = patch_shape
    stride, = pool_window
    return [list(range(start, min(start + stride, count)))
            for start in range(0, count, stride)]
  height, width = patch_shape
  rows, columns = pool_window
  return [
      [row * width + column
       for row in range(top, min(top + rows, height))
       for column in range(left, min(left + columns, width))]
      for top in range(0, height, rows)
      for left in range(0, width, columns)]


def window_weights(patches, window, patch_shape, pool_window, pooling, layer):
  """What each token of a window is multiplied by, [window] or [window, D]."""
  if pooling == 'weighted':
    x = patches[window]
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-6)
    normed = (x - x.mean(axis=-1, keepdims=True)) / deviation
    weights = np.exp(normed @ layer.projection.numpy().astype(np.float64))
    return weights / weights.sum()
  # The place of a token in its window picks its weights in the kernel.
  places = np.stack(np.unravel_index(window, patch_shape), axis=-1)
  kernel = layer.kernel.numpy() + 1 / math.prod(pool_window)
  weights = np.stack([kernel[tuple(place % pool_window)] for place in places])
  return weights * math.prod(pool_window) / len(window)


def pool(tokens, patch_shape, pool_window, pooling, num_prefix_tokens,
         layer=None):
  """Pools the patch tokens of one image, [T, D] -> [T', D]."""
  skip = num_prefix_tokens
  patches = tokens[skip:]

  def merge(window):
    if pooling in ('mean', 'max'):
      return {'mean': np.mean, 'max': np.max}[pooling](patches[window], axis=0)
    weights = window_weights(
        patches, window, patch_shape, pool_window, pooling, layer)
    return (weights.reshape(len(window), -1) * patches[window]).sum(axis=0)

  pooled = [merge(window) for window in windows(patch_shape, pool_window)]
  return np.concatenate([tokens[:skip], np.stack(pooled)])


def encoder(tokens, layer, blocks, *, pooling, pool_query_only,
            num_prefix_tokens, attention_bias='none'):
  """The encoder on one image, [T, D] -> [T', D']."""
  x = run_blocks(
      tokens + layer._pos_embed.pos_embedding.numpy()[0], layer, blocks,
      pooling=pooling, pool_query_only=pool_query_only,
      num_prefix_tokens=num_prefix_tokens, attention_bias=attention_bias)
  return layer_norm(x, layer._norm)


def run_blocks(x, layer, blocks, *, pooling, pool_query_only,
               num_prefix_tokens, attention_bias='none'):
  """The encoder on embedded tokens, without its last LayerNorm."""
  position = 0
  # How many patches each token stands for; tokens before them for one.
  sizes = np.ones(len(x), int)

  def counted(sizes):
    return sizes if attention_bias == 'proportional' else None

  for index, block in enumerate(blocks):
    for first in [True] + [False] * (block.num_layers - 1):
      transformer = layer._encoder_layers[position]
      position += 1
      if not first or not index:
        x = transformer_layer(x, x, transformer, counted(sizes))
        continue
      before = blocks[index - 1]
      if before.hidden_size != block.hidden_size:
        dense = layer._projections[str(index)]
        x = x @ dense.kernel.numpy() + dense.bias.numpy()
      pooled = pool(x, before.patch_shape, block.pool_window, pooling,
                    num_prefix_tokens, pool_layer(layer, index))
      unpooled_sizes, sizes = sizes, np.concatenate([
          sizes[:num_prefix_tokens],
          [sizes[num_prefix_tokens:][window].sum() for window in windows(
              before.patch_shape, block.pool_window)]])
      if pool_query_only:
        x = transformer_layer(pooled, x, transformer, counted(unpooled_sizes))
      else:
        x = transformer_layer(pooled, pooled, transformer, counted(sizes))
  return x


def pool_layer(layer, index):
  """The pool of an encoder before block `index`, if it has variables."""
  return getattr(layer, '_pools', {}).get(str(index))
