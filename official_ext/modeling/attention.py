"""Attention between heads of query, key and value: a function, no weights.

Another implementation takes the arguments of `plain` and is chosen in
`choose`; the transformer layer knows no other place.

Legend: B batch, N heads, T query tokens, S key tokens, H head size, P how many
of query, key and value one matrix product gave.
"""

from __future__ import annotations

from collections.abc import Callable
import math

import tensorflow as tf

from official_ext.modeling import custom_gradients

# Takes query, key, value, the dropout of the weights and the matrix product.
Attention = Callable[..., tf.Tensor]


def choose() -> Attention:
  """Returns the implementation of attention that layers use."""
  return plain


def plain(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor,
          drop: Callable[[tf.Tensor], tf.Tensor],
          matmul: custom_gradients.Matmul = tf.matmul) -> tf.Tensor:
  """Computes scaled dot-product attention (arXiv 1706.03762).

  Args:
    query: [B, N, T, H].
    key: [B, N, S, H].
    value: [B, N, S, H].
    drop: dropout of the attention weights, [B, N, T, S].
    matmul: the matrix product.

  Returns:
    [B, N, T, H].
  """
  return matmul(drop(weights(query, key, matmul)), value)


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
