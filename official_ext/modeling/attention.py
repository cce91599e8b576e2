"""Attention between heads of query, key and value: a function, no weights.

Another implementation takes the arguments of `plain` and is chosen in
`choose`; the transformer layer knows no other place.

Legend: B batch, N heads, T query tokens, S key tokens, H head size, P how many
of query, key and value one matrix product gave.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import math

import tensorflow as tf

from official_ext.modeling import custom_gradients
from official_ext.modeling import fused_attention

# Takes query, key, value, the dropout of the weights and the matrix product.
Attention = Callable[..., tf.Tensor]


def choose(kind: str) -> Attention:
  """Returns the implementation of attention that layers use.

  Args:
    kind: one of `options.ATTENTION_KINDS`.
  """
  return plain if kind == 'plain' else functools.partial(
      _fused_or_plain, is_demanded=kind == 'fused')


def _fused_or_plain(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor,
                    drop: Callable[[tf.Tensor], tf.Tensor] | None = None,
                    matmul: custom_gradients.Matmul = tf.matmul,
                    training: bool | None = None,
                    is_demanded: bool = False) -> tf.Tensor:
  """Computes what `plain` does, in one kernel where there is one.

  One query token, the class token of the last layer, has so few scores that
  nothing is gained.
  """
  if query.shape[2] > 1:
    reason = _reason_against_fused(query, drop)
    if not reason:
      return fused_attention.attend(query, key, value)
    if is_demanded and training:
      raise ValueError(
          f"fast_path.attention is 'fused', but {reason}. Set it to 'auto' or "
          "'plain'.")
  return plain(query, key, value, drop, matmul)


def _reason_against_fused(query: tf.Tensor, drop: Callable | None
                          ) -> str | None:
  if not query.shape.is_fully_defined():
    return 'the size of the batches is not known'
  if not fused_attention.is_compiled_by_xla():
    return 'XLA does not compile the step'
  return (fused_attention.reason_against_hardware() or
          fused_attention.reason_against_layers(
              query.dtype, query.shape[-1], bool(drop)))


def plain(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor,
          drop: Callable[[tf.Tensor], tf.Tensor] | None = None,
          matmul: custom_gradients.Matmul = tf.matmul,
          training: bool | None = None) -> tf.Tensor:
  """Computes scaled dot-product attention (arXiv 1706.03762).

  Args:
    query: [B, N, T, H].
    key: [B, N, S, H].
    value: [B, N, S, H].
    drop: dropout of the attention weights, [B, N, T, S]; None: nothing is
      dropped.
    matmul: the matrix product.
    training: not used: it computes the same in training and else.

  Returns:
    [B, N, T, H].
  """
  del training
  kept = weights(query, key, matmul)
  return matmul(drop(kept) if drop else kept, value)


def weights(query: tf.Tensor, key: tf.Tensor,
            matmul: custom_gradients.Matmul = tf.matmul) -> tf.Tensor:
  """Computes what each query token takes from each key token.

  Args:
    query: [B, N, T, H].
    key: [B, N, S, H].
    matmul: the matrix product.

  Returns:
    [B, N, T, S]; rows sum to one.
  """
  query *= tf.cast(1 / math.sqrt(query.shape[-1]), query.dtype)
  return tf.nn.softmax(matmul(query, key, transpose_b=True))


def split_heads(rows: tf.Tensor, num_tokens: int, num_projections: int,
                num_heads: int) -> list[tf.Tensor]:
  """Splits what one matrix product gave into query, key or value heads.

  Args:
    rows: [B * T, P * N * H].
    num_tokens: T.
    num_projections: P.
    num_heads: N.

  Returns:
    P times [B, N, T, H].
  """
  head_size = rows.shape[-1] // (num_projections * num_heads)
  rows = tf.reshape(
      rows, [-1, num_tokens, num_projections, num_heads, head_size])
  # [B, T, P, N, H] -> [P, B, N, T, H]
  return tf.unstack(tf.transpose(rows, [2, 0, 3, 1, 4]), axis=0)


def join_heads(heads: tf.Tensor) -> tf.Tensor:
  """Joins heads to rows, [B, N, T, H] -> [B * T, N * H]."""
  num_heads, _, head_size = heads.shape[1:]
  return tf.reshape(
      tf.transpose(heads, [0, 2, 1, 3]), [-1, num_heads * head_size])
