"""Attention between heads of query, key and value: a function, no weights.

Another implementation takes the arguments of `plain` and is chosen in
`choose`; the transformer layer knows no other place.

Legend: B batch, N heads, T query tokens, S key tokens, H head size, P how many
of query, key and value one matrix product gave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import functools
import math

import numpy as np
import tensorflow as tf

from official_ext.modeling import custom_gradients
from official_ext.modeling import fused_attention

# Takes query, key, value, the dropout of the weights, the matrix product and a
# bias of the keys.
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
                    bias: np.ndarray | None = None,
                    is_demanded: bool = False) -> tf.Tensor:
  """Computes what `plain` does, in one kernel where there is one.

  One query token, the class token of the last layer, has so few scores that
  nothing is gained.
  """
  if query.shape[2] > 1:
    reason = _reason_against_fused(query, drop, bias)
    if not reason and bias is None:
      return fused_attention.attend(query, key, value)
    if not reason:
      return fused_attention.attend(
          *with_bias_channels(query, key, value, bias))[..., :query.shape[-1]]
    if is_demanded and training:
      raise ValueError(
          f"fast_path.attention is 'fused', but {reason}. Set it to 'auto' or "
          "'plain'.")
  return plain(query, key, value, drop, matmul, bias=bias)


def _reason_against_fused(query: tf.Tensor, drop: Callable | None,
                          bias: np.ndarray | None) -> str | None:
  if not query.shape.is_fully_defined():
    return 'the size of the batches is not known'
  if not fused_attention.is_compiled_by_xla():
    return 'XLA does not compile the step'
  return (fused_attention.reason_against_hardware() or
          fused_attention.reason_against_layers(
              query.dtype, fused_head_size(query.shape[-1], bias), bool(drop)))


def plain(query: tf.Tensor, key: tf.Tensor, value: tf.Tensor,
          drop: Callable[[tf.Tensor], tf.Tensor] | None = None,
          matmul: custom_gradients.Matmul = tf.matmul,
          training: bool | None = None,
          bias: np.ndarray | None = None) -> tf.Tensor:
  """Computes scaled dot-product attention (arXiv 1706.03762).

  Args:
    query: [B, N, T, H].
    key: [B, N, S, H].
    value: [B, N, S, H].
    drop: dropout of the attention weights, [B, N, T, S]; None: nothing is
      dropped.
    matmul: the matrix product.
    training: not used: it computes the same in training and else.
    bias: float32 [S], added to the scores of each key; None: nothing.

  Returns:
    [B, N, T, H].
  """
  del training
  kept = weights(query, key, matmul, bias)
  return matmul(drop(kept) if drop else kept, value)


def weights(query: tf.Tensor, key: tf.Tensor,
            matmul: custom_gradients.Matmul = tf.matmul,
            bias: np.ndarray | None = None) -> tf.Tensor:
  """Computes what each query token takes from each key token.

  Args:
    query: [B, N, T, H].
    key: [B, N, S, H].
    matmul: the matrix product.
    bias: float32 [S], added to the scores of each key; None: nothing.

  Returns:
    [B, N, T, S]; rows sum to one.
  """
  query *= tf.cast(1 / math.sqrt(query.shape[-1]), query.dtype)
  scores = matmul(query, key, transpose_b=True)
  if bias is not None:
    scores += tf.cast(bias, scores.dtype)
  return tf.nn.softmax(scores)


def proportional_bias(key_sizes: Sequence[int]) -> np.ndarray | None:
  """Returns the bias of proportional attention (ToMe, arXiv 2210.09461).

  A key that stands for several patches counts as if each of them were there
  with the same key: the logarithm of their number is added to its scores
  (section 3.2, equation 1).

  Args:
    key_sizes: how many patches each of the S keys stands for; 1 for the class
      token and other tokens before the patches.

  Returns:
    float32 [S]; None if all keys stand for as many, which softmax does not
    feel.
  """
  if len(set(key_sizes)) == 1:
    return None
  return np.log(key_sizes).astype(np.float32)


def fused_head_size(head_size: int, bias: np.ndarray | None) -> int:
  """Returns the size of heads that carry a bias, or of those without one."""
  if bias is None:
    return head_size
  # What kernels take are multiples of 8.
  return 8 * (head_size // 8 + 1)


def with_bias_channels(
    query: tf.Tensor, key: tf.Tensor, value: tf.Tensor, bias: np.ndarray
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Carries a bias of the keys in a channel of query and key.

  For implementations of scaled dot-product attention without a bias, or whose
  bias does not take every length, as that of fused attention on GPUs. Where a
  bias can be added, adding it costs less.

  Args:
    query: [B, N, T, H].
    key: [B, N, S, H].
    value: [B, N, S, H].
    bias: float32 [S], added to the scores of each key.

  Returns:
    Query, key and value of H' = `fused_head_size` channels. Their attention,
    with the scale of H' channels, is in its first H channels that of the heads
    given with the bias; in the others it is 0. In channel H the query has a 1
    and the key the bias, times the root of H', which the scale divides it by;
    the query is multiplied by the root of H' / H for the same reason.
  """
  head_size = query.shape[-1]
  size = fused_head_size(head_size, bias)
  # In float32: bfloat16 has but three digits of the factor.
  query = tf.cast(tf.cast(query, tf.float32) * math.sqrt(size / head_size),
                  query.dtype)
  # [S, 1], which every image and head has.
  carried = tf.cast(math.sqrt(size) * bias, key.dtype)[:, tf.newaxis]

  def widen(heads, channel):
    channel = tf.zeros_like(heads[..., :1]) + channel  # [B, N, T or S, 1]
    return tf.pad(tf.concat([heads, channel], axis=-1),
                  [[0, 0]] * 3 + [[0, size - head_size - 1]])

  return (widen(query, tf.ones([], query.dtype)), widen(key, carried),
          widen(value, tf.zeros([], value.dtype)))


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
