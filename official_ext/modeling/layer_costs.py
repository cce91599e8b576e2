"""What one transformer layer costs.

Legend: T query tokens, S keys, D hidden size, M MLP size.
"""

from __future__ import annotations

from official_ext.modeling import layout as layout_lib


def count_parameters(block: layout_lib.ResolvedBlock,
                     has_layer_scale: bool) -> int:
  """Counts the parameters of a layer.

  Args:
    block: whose sizes the layer has.
    has_layer_scale: whether its branches are scaled.

  Returns:
    The number of parameters.
  """
  size, mlp_dim = block.hidden_size, block.mlp_dim
  total = 4 * (size * size + size)  # Query, key, value, output.
  total += 2 * size * mlp_dim + mlp_dim + size
  total += 2 * 2 * size  # Two LayerNorms.
  return total + 2 * size * has_layer_scale


def count_multiply_adds(block: layout_lib.ResolvedBlock, queries: int,
                        keys: int) -> int:
  """Counts the multiply-adds of a layer for one image.

  Args:
    block: whose sizes the layer has.
    queries: T.
    keys: S.

  Returns:
    The number of multiply-adds.
  """
  size = block.hidden_size
  total = 2 * queries * size * size  # Query and output, [T, D] x [D, D].
  total += 2 * keys * size * size  # Key and value.
  total += 2 * queries * keys * size  # Scores, and scores x values.
  return total + 2 * queries * size * block.mlp_dim


def count_saved_activations(block: layout_lib.ResolvedBlock, queries: int,
                            keys: int) -> int:
  """Counts the values that a layer's backward pass needs saved.

  They are listed at `costs.count_saved_activations`.

  Args:
    block: whose sizes the layer has.
    queries: T.
    keys: S.

  Returns:
    The number of values of one image.
  """
  total = 4 * keys * block.hidden_size
  total += queries * (4 * block.hidden_size + 2 * block.mlp_dim)
  return total + 2 * block.num_heads * queries * keys
