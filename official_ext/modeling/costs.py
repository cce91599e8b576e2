"""What a layout costs: parameters and multiply-adds, from its sizes alone.

Multiply-adds count the matrix products of one forward pass (patch embedding,
projections, attention, MLP, head); LayerNorm, softmax and GELU are left out.
Nothing is allocated, so this serves the largest presets too.

Legend: T tokens, D hidden size, M MLP size.
"""

from __future__ import annotations

from official_ext.modeling import specs

_CHANNELS = 3


def count_parameters(spec: specs.ModelSpec, num_classes: int = 0,
                     has_layer_scale: bool = False) -> int:
  """Counts the trainable parameters of a model.

  Args:
    spec: the sizes of the model.
    num_classes: outputs of the head; 0 counts the backbone alone.
    has_layer_scale: whether the layers have LayerScale.

  Returns:
    The number of parameters.
  """
  first, last = spec.blocks[0], spec.blocks[-1]
  patch_inputs = spec.patch_size ** 2 * _CHANNELS
  total = _dense(patch_inputs, first.hidden_size)
  total += first.num_tokens * first.hidden_size  # Position embedding.
  if spec.has_class_token:
    total += first.hidden_size
  previous_size = first.hidden_size
  for block in spec.blocks:
    size = block.hidden_size
    if size != previous_size:
      total += _dense(previous_size, size)
    layer = 4 * _dense(size, size)  # Query, key, value, output.
    layer += _dense(size, block.mlp_dim) + _dense(block.mlp_dim, size)
    layer += 2 * 2 * size  # Two LayerNorms.
    if has_layer_scale:
      layer += 2 * size
    total += block.num_layers * layer
    previous_size = size
  total += 2 * last.hidden_size  # Final LayerNorm.
  features = last.hidden_size
  if spec.representation_size:
    total += _dense(features, spec.representation_size)
    features = spec.representation_size
  if num_classes:
    total += _dense(features, num_classes)
  return total


def count_multiply_adds(spec: specs.ModelSpec, num_classes: int = 0) -> int:
  """Counts the multiply-adds of one image's forward pass.

  Args:
    spec: the sizes of the model.
    num_classes: outputs of the head; 0 counts the backbone alone.

  Returns:
    The number of multiply-adds.
  """
  first, last = spec.blocks[0], spec.blocks[-1]
  num_patches = spec.grid[0] * spec.grid[1]
  total = num_patches * spec.patch_size ** 2 * _CHANNELS * first.hidden_size
  tokens_before, size_before = first.num_tokens, first.hidden_size
  for index, block in enumerate(spec.blocks):
    size, tokens = block.hidden_size, block.num_tokens
    if size != size_before:
      total += tokens_before * size_before * size
    for position in range(block.num_layers):
      widens = index and not position and spec.pool_query_only
      keys = tokens_before if widens else tokens
      total += 2 * tokens * size * size  # Query and output, [T, D] x [D, D].
      total += 2 * keys * size * size  # Key and value.
      total += 2 * tokens * keys * size  # Scores, and scores x values.
      total += 2 * tokens * size * block.mlp_dim
    tokens_before, size_before = tokens, size
  rows = last.num_tokens if spec.pooler == 'none' else 1
  features = last.hidden_size
  if spec.representation_size:
    total += rows * features * spec.representation_size
    features = spec.representation_size
  return total + features * num_classes


def _dense(inputs: int, outputs: int) -> int:
  """Parameters of a dense layer with bias."""
  return inputs * outputs + outputs
