"""What a layout costs: parameters, multiply-adds and saved activations.

Multiply-adds count the matrix products of one forward pass (patch embedding,
projections, attention, MLP, head), what learned pools multiply and what is
computed for feature maps; LayerNorm, softmax, GELU, means and what proportional
attention adds are left out.
All is worked out from the sizes and nothing is allocated, so this serves the
largest presets too.

Legend: T tokens, S keys, D hidden size, M MLP size.
"""

from __future__ import annotations

import math

from official_ext.modeling import feature_costs
from official_ext.modeling import layer_costs
from official_ext.modeling import layout as layout_lib
from official_ext.modeling import specs

_CHANNELS = 3


def count_parameters(spec: specs.ModelSpec, num_classes: int = 0) -> int:
  """Counts the trainable parameters of a model.

  Args:
    spec: the sizes of the model.
    num_classes: outputs of the head; 0 counts the backbone alone.

  Returns:
    The number of parameters.
  """
  first, last = spec.blocks[0], spec.blocks[-1]
  patch_inputs = spec.patch_size ** 2 * _CHANNELS
  total = _dense(patch_inputs, first.hidden_size)
  if not spec.patch_bias:
    total -= first.hidden_size
  total += spec.num_prefix_tokens * first.hidden_size
  if spec.position_embedding == 'learned':
    num_positions = num_patches(spec) + spec.num_prefix_positions
    total += num_positions * first.hidden_size
  if spec.norm_before_layers:
    total += 2 * first.hidden_size
  previous_size = first.hidden_size
  for block in spec.blocks:
    size = block.hidden_size
    if size != previous_size:
      total += _dense(previous_size, size)
    total += block.num_layers * layer_costs.count_parameters(
        block, spec.has_layer_scale)
    previous_size = size
  for _, window, size in _learned_pools(spec):
    # A kernel for every place in the window, or a projection of one token.
    total += (window if spec.pooling == 'conv' else 1) * size
  if spec.final_norm != 'none':
    total += 2 * last.hidden_size
  if spec.pooler == 'map':
    size = last.hidden_size
    total += size + 4 * _dense(size, size) + 2 * size  # Probe and LayerNorm.
    total += _dense(size, last.mlp_dim) + _dense(last.mlp_dim, size)
  features = spec.num_features
  if spec.representation_size:
    total += _dense(features, spec.representation_size)
    features = spec.representation_size
  if spec.projection_size:
    total += features * spec.projection_size
    features = spec.projection_size
  if num_classes:
    total += _dense(features, num_classes)
  return total + feature_costs.count_parameters(spec)


def count_multiply_adds(spec: specs.ModelSpec, num_classes: int = 0,
                        last_layer_class_token_only: bool = False) -> int:
  """Counts the multiply-adds of one image's forward pass.

  Args:
    spec: the sizes of the model.
    num_classes: outputs of the head; 0 counts the backbone alone.
    last_layer_class_token_only: whether the last layer computes the query,
      attention, output projection and MLP of the class token alone, which is
      all that the head reads. Its keys and values are those of all tokens.
      With another pooler than 'token', or with feature maps, this changes
      nothing.

  Returns:
    The number of multiply-adds.
  """
  first, last = spec.blocks[0], spec.blocks[-1]
  patch_inputs = spec.patch_size ** 2 * _CHANNELS
  total = num_patches(spec) * patch_inputs * first.hidden_size
  for before, after in zip(spec.blocks, spec.blocks[1:]):
    if before.hidden_size != after.hidden_size:
      total += before.num_tokens * before.hidden_size * after.hidden_size
  for patches, _, size in _learned_pools(spec):
    # The convolution, or the scores and the weighted sum.
    total += (1 if spec.pooling == 'conv' else 2) * patches * size
  class_token_only = (
      last_layer_class_token_only and spec.pooler == 'token' and
      not spec.feature_maps.levels)
  layers = _layers(spec)
  for position, (block, keys) in enumerate(layers, start=1):
    queries = block.num_tokens
    if class_token_only and position == len(layers):
      queries = 1
    total += layer_costs.count_multiply_adds(block, queries, keys)
  if spec.pooler == 'map':
    size, keys = last.hidden_size, last.num_tokens
    total += 2 * (1 + keys) * size * size  # Query, output; key, value.
    total += 2 * keys * size + 2 * size * last.mlp_dim
  rows = last.num_tokens if spec.pooler == 'none' else 1
  features = spec.num_features
  if spec.representation_size:
    total += rows * features * spec.representation_size
    features = spec.representation_size
  if spec.projection_size:
    total += features * spec.projection_size
    features = spec.projection_size
  total += feature_costs.count_multiply_adds(spec)
  return total + features * num_classes


def count_saved_activations(spec: specs.ModelSpec) -> int:
  """Counts the values that one image's backward pass needs saved.

  An ideal: each value once, nothing rematerialised, no dropout and no padding.
  A framework saves more, and variables and gradients come on top. Saved are

  - for the embedding, 3 T D: the patches, and the tokens with the class token
    and with the position embedding; T D more with a LayerNorm before the
    layers, which saves its input;
  - for each layer, 4 S D: its input, the normalised input, keys and values;
  - for each layer, 4 T D + 2 T M: the query, the attention's context, the
    residual, the normalised residual; before and after GELU, the inner MLP;
  - for each layer and head, 2 T S: the scores before and after softmax;
  - where two blocks differ in hidden size, the input of the projection;
  - where a pool is learned, its input, unless it is that of a layer; with
    weights from the tokens also the normalised input and, of each patch, the
    score before and after softmax.

  S is the number of keys, so that of the unpooled tokens in the first layer
  after a pool with `pool_query_only`, and T elsewhere. Left out are the pooled
  tokens before and after LayerNorm (1 % in B4-4-4), the statistics of
  LayerNorm, and all that follows the last layer but feature maps
  (`feature_costs`).

  Args:
    spec: the sizes of the model.

  Returns:
    The number of values, not of bytes.
  """
  first = spec.blocks[0]
  total = 3 * first.num_tokens * first.hidden_size
  if spec.norm_before_layers:
    total += first.num_tokens * first.hidden_size
  for before, after in zip(spec.blocks, spec.blocks[1:]):
    if before.hidden_size != after.hidden_size:
      total += before.num_tokens * before.hidden_size
  for patches, _, size in _learned_pools(spec):
    if not spec.pool_query_only:
      total += patches * size
    if spec.pooling == 'weighted':
      total += patches * (size + 2)
  for block, keys in _layers(spec):
    total += layer_costs.count_saved_activations(block, block.num_tokens, keys)
  return total + feature_costs.count_saved_activations(spec)


def _learned_pools(spec: specs.ModelSpec) -> list[tuple[int, int, int]]:
  """Returns patch tokens, window and hidden size of pools with variables."""
  if not spec.has_learned_pools:
    return []
  return [(math.prod(before.patch_shape), math.prod(after.pool_window),
           after.hidden_size)
          for before, after in zip(spec.blocks, spec.blocks[1:])]


def num_patches(spec: specs.ModelSpec) -> int:
  """Counts the patches of an image."""
  return spec.grid[0] * spec.grid[1]


def _layers(
    spec: specs.ModelSpec) -> list[tuple[layout_lib.ResolvedBlock, int]]:
  """Returns the block and the number of keys of every layer."""
  layers = []
  num_keys = spec.blocks[0].num_tokens
  for block in spec.blocks:
    if not spec.pool_query_only:
      num_keys = block.num_tokens
    layers.append((block, num_keys))
    layers += [(block, block.num_tokens)] * (block.num_layers - 1)
    num_keys = block.num_tokens
  return layers


def _dense(inputs: int, outputs: int) -> int:
  """Counts the parameters of a dense layer with bias."""
  return inputs * outputs + outputs
