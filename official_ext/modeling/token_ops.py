"""Operations on tokens: pure functions, no weights.

Paper, section 3.2: h' = concat(h[:, :1], pool(h[:, 1:])).

Legend: B batch, N patch tokens, K tokens before them (the class token), T = K +
N tokens, D hidden size, H x W the grid of patches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math

import numpy as np
import tensorflow as tf

_REDUCTIONS: dict[str, Callable[..., tf.Tensor]] = {
    'mean': tf.reduce_mean,
    'max': tf.reduce_max,
    'sum': tf.reduce_sum,
}


def pool_axis(tensor: tf.Tensor, axis: int, stride: int,
              pooling: str) -> tf.Tensor:
  """Pools one axis with windows of `stride` and no overlap.

  A short last window is pooled over the entries it has; none is dropped and
  none is padded. Reshape and reduce is faster under XLA on CPU than a pooling
  op (4 to 5 % of a train step of ViT-B/16).

  Args:
    tensor: [B, ..., L, ...] of which only B may be unknown; L at `axis`.
    axis: the axis to pool, at least 1.
    stride: window length and stride.
    pooling: 'mean', 'max' or 'sum'.

  Returns:
    [B, ..., ceil(L / stride), ...].
  """
  reduce = _REDUCTIONS[pooling]
  if stride == 1:
    return tensor
  sides = tensor.shape.as_list()
  num_full = sides[axis] // stride
  before_axis = (slice(None),) * axis
  windows = []
  if num_full:
    full = tensor[(*before_axis, slice(0, num_full * stride))]
    # [B, ..., F * stride, ...] -> [B, ..., F, stride, ...]
    full = tf.reshape(
        full, [-1, *sides[1:axis], num_full, stride, *sides[axis + 1:]])
    windows.append(reduce(full, axis=axis + 1))
  if sides[axis] % stride:
    short = tensor[(*before_axis, slice(num_full * stride, None))]
    windows.append(reduce(short, axis=axis, keepdims=True))
  return windows[0] if len(windows) == 1 else tf.concat(windows, axis=axis)


def pool_patches(patches: tf.Tensor, patch_shape: Sequence[int],
                 pool_window: Sequence[int], pooling: str) -> tf.Tensor:
  """Pools patch tokens along the sequence or on their grid.

  Args:
    patches: [B, N, D], row-major.
    patch_shape: `(N,)` to pool the sequence or `(H, W)` to pool the grid.
    pool_window: as many window lengths as `patch_shape` has sides.
    pooling: 'mean', 'max' or 'sum'.

  Returns:
    [B, N', D], N' being the product of ceil(side / window) over the sides.
  """
  hidden_size = patches.shape[-1]
  # [B, N, D] -> [B, H, W, D]; on a sequence, N is the only side.
  pooled = tf.reshape(patches, [-1, *patch_shape, hidden_size])
  # All tokens of a window share its sides, so pooling one axis after the other
  # equals pooling the rectangle, short windows included.
  for axis, stride in enumerate(pool_window, start=1):
    pooled = pool_axis(pooled, axis, stride, pooling)
  # [B, H', W', D] -> [B, N', D]
  num_patches = math.prod(pooled.shape[1:-1])
  return tf.reshape(pooled, [-1, num_patches, hidden_size])


def pool_tokens(tokens: tf.Tensor, patch_shape: Sequence[int],
                pool_window: Sequence[int], pooling: str,
                num_prefix_tokens: int) -> tf.Tensor:
  """Pools the patch tokens and leaves those before them as they are.

  Args:
    tokens: [B, T, D].
    patch_shape: `(N,)` to pool the sequence or `(H, W)` to pool the grid.
    pool_window: as many window lengths as `patch_shape` has sides.
    pooling: 'mean' or 'max'.
    num_prefix_tokens: K: the class token, a distillation token, registers.

  Returns:
    [B, K + N', D].
  """
  return map_patches(
      lambda patches: pool_patches(patches, patch_shape, pool_window, pooling),
      tokens, num_prefix_tokens)


def map_patches(function: Callable[[tf.Tensor], tf.Tensor], tokens: tf.Tensor,
                num_prefix_tokens: int) -> tf.Tensor:
  """Applies a function to the patch tokens alone.

  Args:
    function: takes [B, N, D] and returns [B, N', D].
    tokens: [B, T, D].
    num_prefix_tokens: K: the class token, a distillation token, registers.

  Returns:
    [B, K + N', D].
  """
  if not num_prefix_tokens:
    return function(tokens)
  prefix, patches = (
      tokens[:, :num_prefix_tokens], tokens[:, num_prefix_tokens:])
  return tf.concat([prefix, function(patches)], axis=1)  # [B, K + N', D]


def convolve_patches(patches: tf.Tensor, patch_shape: Sequence[int],
                     pool_window: Sequence[int],
                     kernel: tf.Tensor) -> tf.Tensor:
  """Pools patch tokens by a depth-wise convolution without overlap.

  The kernel is given as what it differs from that of the mean, 1 / window: with
  zeros this is mean pooling, bit by bit.

  Args:
    patches: [B, N, D], row-major.
    patch_shape: `(N,)` to pool the sequence or `(H, W)` to pool the grid.
    pool_window: as many window lengths as `patch_shape` has sides.
    kernel: [*pool_window, D].

  Returns:
    [B, N', D], N' being the product of ceil(side / window) over the sides.
  """
  mean = pool_patches(patches, patch_shape, pool_window, 'mean')
  kernel = repeat_kernel(kernel, patch_shape, pool_window)  # [N, D]
  return mean + pool_patches(
      patches * kernel, patch_shape, pool_window, 'sum')


def repeat_kernel(kernel: tf.Tensor, patch_shape: Sequence[int],
                  pool_window: Sequence[int]) -> tf.Tensor:
  """Returns what every patch is multiplied by in its window.

  A short last window takes the first weights, times what a whole window is
  larger: weights of 1 / window become those of its own mean.

  Args:
    kernel: [*pool_window, D].
    patch_shape: `(N,)` to pool the sequence or `(H, W)` to pool the grid.
    pool_window: as many window lengths as `patch_shape` has sides.

  Returns:
    [N, D].
  """
  num_axes = len(kernel.shape)
  for axis, (side, step) in enumerate(zip(patch_shape, pool_window)):
    num_last = side % step
    times = [1] * num_axes
    times[axis] = -(-side // step)
    before_axis = (slice(None),) * axis
    kernel = tf.tile(kernel, times)[(*before_axis, slice(0, side))]
    if num_last:
      scales = np.ones([side] + [1] * (num_axes - axis - 1))
      scales[-num_last:] = step / num_last
      kernel *= tf.cast(scales, kernel.dtype)
  # [H, W, D] -> [N, D]; on a sequence, N is the only side.
  return tf.reshape(kernel, [-1, kernel.shape[-1]])


def softmax_in_windows(scores: tf.Tensor, patch_shape: Sequence[int],
                       pool_window: Sequence[int]) -> tf.Tensor:
  """Turns scores of patches into weights that sum to one in every window.

  Args:
    scores: [B, N, D], row-major.
    patch_shape: `(N,)` to pool the sequence or `(H, W)` to pool the grid.
    pool_window: as many window lengths as `patch_shape` has sides.

  Returns:
    [B, N, D].
  """
  # The largest drops out of the quotient, so its gradient is zero.
  exponentials = tf.exp(scores - tf.stop_gradient(
      of_windows(scores, patch_shape, pool_window, 'max')))
  return exponentials / of_windows(
      exponentials, patch_shape, pool_window, 'sum')


def of_windows(patches: tf.Tensor, patch_shape: Sequence[int],
               pool_window: Sequence[int], pooling: str) -> tf.Tensor:
  """Gives every patch token what its window is pooled to.

  Args:
    patches: [B, N, D], row-major.
    patch_shape: `(N,)` to pool the sequence or `(H, W)` to pool the grid.
    pool_window: as many window lengths as `patch_shape` has sides.
    pooling: 'mean', 'max' or 'sum'.

  Returns:
    [B, N, D].
  """
  return repeat_in_windows(
      pool_patches(patches, patch_shape, pool_window, pooling), patch_shape,
      pool_window)


def repeat_in_windows(pooled: tf.Tensor, patch_shape: Sequence[int],
                      pool_window: Sequence[int]) -> tf.Tensor:
  """Gives every patch token the token that its window was pooled to.

  Args:
    pooled: [B, N', D], row-major, N' being the product of ceil(side / window)
      over the sides.
    patch_shape: the tokens before the pool, `(N,)` or `(H, W)`.
    pool_window: as many window lengths as `patch_shape` has sides.

  Returns:
    [B, N, D].
  """
  hidden_size = pooled.shape[-1]
  sides = [-(-side // step) for side, step in zip(patch_shape, pool_window)]
  for axis, (side, step) in enumerate(zip(patch_shape, pool_window)):
    # [B, ..., L', ...] -> [B, ..., L', 1, ...] -> [B, ..., L', step, ...]
    spread = tf.reshape(
        pooled, [-1, *sides[:axis + 1], 1, *sides[axis + 1:], hidden_size])
    times = [1] * len(spread.shape)
    times[axis + 2] = step
    sides[axis] *= step
    # [B, ..., L', step, ...] -> [B, ..., L' * step, ...] -> [B, ..., L, ...]
    spread = tf.reshape(tf.tile(spread, times), [-1, *sides, hidden_size])
    before_axis = (slice(None),) * (axis + 1)
    pooled = spread[(*before_axis, slice(0, side))]
    sides[axis] = side
  # [B, H, W, D] -> [B, N, D]
  return tf.reshape(pooled, [-1, math.prod(sides), hidden_size])


def insert_tokens(tokens: tf.Tensor, learned: tf.Tensor,
                  position: int) -> tf.Tensor:
  """Inserts learned tokens, the same for every image.

  Args:
    tokens: [B, T, D].
    learned: [1, R, D].
    position: how many tokens come before them.

  Returns:
    [B, T + R, D], of the type of `tokens`.
  """
  return tf.concat(
      [tokens[:, :position], for_every_image(learned, tokens),
       tokens[:, position:]], axis=1)


def for_every_image(learned: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
  """Repeats learned tokens for a batch.

  Args:
    learned: [1, R, D].
    tokens: [B, T, D].

  Returns:
    [B, R, D], of the type of `tokens`.
  """
  # As Model Garden's class token does: every format of exports takes it.
  return tf.cast(learned, tokens.dtype) + tf.zeros_like(tokens[:, :1])
