"""Pools between two blocks that learn how to merge the tokens of a window.

The paper (section 3.2) pools by mean or maximum. These begin as the mean, so
that the weights of a ViT, or of a funnel with mean pooling, answer the same in
them until they are trained. Weight decay draws them back to it. Tokens before
the patches are never pooled.

Legend: B batch, K tokens before the patches, N patch tokens, T = K + N tokens,
D hidden size.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
import math
from typing import Any

import tensorflow as tf
import tf_keras

from official_ext.modeling import rematerialization
from official_ext.modeling import token_ops


class LearnedPooling(tf_keras.layers.Layer, abc.ABC):
  """A pool with variables.

  Call with tokens [B, K + N, D]; returns [B, K + N', D].
  """

  def __init__(
      self,
      patch_shape: Sequence[int],
      pool_window: Sequence[int],
      num_prefix_tokens: int,
      norm_epsilon: float = 1e-6,
      kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
      **kwargs,
  ):
    """Initialises the layer.

    Args:
      patch_shape: the patch tokens, `(N,)` to pool the sequence or `(H, W)` to
        pool the grid.
      pool_window: as many window lengths as `patch_shape` has sides.
      num_prefix_tokens: K.
      norm_epsilon: added to the variance where tokens are normalised.
      kernel_regularizer: regulariser of the variable.
      **kwargs: of `tf_keras.layers.Layer`.
    """
    super().__init__(**kwargs)
    self._patch_shape = tuple(patch_shape)
    self._pool_window = tuple(pool_window)
    self._num_prefix_tokens = num_prefix_tokens
    self._norm_epsilon = norm_epsilon
    self._kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)

  def call(self, tokens: tf.Tensor) -> tf.Tensor:
    return token_ops.map_patches(
        self._pool, tokens, self._num_prefix_tokens)

  def shares(self, tokens: tf.Tensor) -> tf.Tensor:
    """Says how much of its window's token each patch token is.

    Args:
      tokens: [B, K + N, D].

    Returns:
      float32 [B, N], not negative; the tokens of a window sum to one.
    """
    return self._shares(tokens[:, self._num_prefix_tokens:])

  @abc.abstractmethod
  def _pool(self, patches: tf.Tensor) -> tf.Tensor:
    """Pools patch tokens, [B, N, D] -> [B, N', D]."""

  @abc.abstractmethod
  def _shares(self, patches: tf.Tensor) -> tf.Tensor:
    """Returns the shares of patch tokens, [B, N, D] -> float32 [B, N]."""

  def get_config(self) -> dict[str, Any]:
    return {
        **super().get_config(),
        'patch_shape': self._patch_shape,
        'pool_window': self._pool_window,
        'num_prefix_tokens': self._num_prefix_tokens,
        'norm_epsilon': self._norm_epsilon,
        'kernel_regularizer': tf_keras.regularizers.serialize(
            self._kernel_regularizer),
    }


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class ConvPooling(LearnedPooling):
  """A depth-wise convolution whose kernel is as large as its stride.

  PiT (arXiv 2103.16302) pools so, with a larger kernel. This one is no larger:
  then it takes what mean pooling takes, and is it with a kernel of zeros, which
  is kept as what it differs from the mean's.
  """

  def build(self, input_shape: tf.TensorShape):
    self.kernel = self.add_weight(
        'kernel', (*self._pool_window, input_shape[-1]), initializer='zeros',
        regularizer=self._kernel_regularizer)
    super().build(input_shape)

  def _pool(self, patches: tf.Tensor) -> tf.Tensor:
    return token_ops.convolve_patches(
        patches, self._patch_shape, self._pool_window,
        tf.convert_to_tensor(self.kernel))

  def _shares(self, patches: tf.Tensor) -> tf.Tensor:
    windows = self._patch_shape, self._pool_window
    kernel = tf.cast(self.kernel, tf.float32)
    sizes = tf.abs(token_ops.repeat_kernel(
        kernel + 1 / math.prod(self._pool_window), *windows))[tf.newaxis]
    # A channel's share is the size of its weight, whatever its sign, and a
    # token's the mean of all channels.
    shares = tf.reduce_mean(tf.math.divide_no_nan(
        sizes, token_ops.of_windows(sizes, *windows, 'sum')), axis=-1)
    return tf.zeros_like(patches[..., 0], tf.float32) + shares


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class WeightedPooling(LearnedPooling):
  """A weighted mean, with weights from what the tokens hold.

  A token's score is a learned projection of it, normalised as a transformer
  layer normalises what it projects, since the size of hidden states grows with
  the depth; the weights are a softmax of the scores in each window. Zeros make
  them equal.
  """

  def build(self, input_shape: tf.TensorShape):
    self.projection = self.add_weight(
        'projection', (input_shape[-1],), initializer='zeros',
        regularizer=self._kernel_regularizer, experimental_autocast=False)
    super().build(input_shape)

  def _pool(self, patches: tf.Tensor) -> tf.Tensor:
    weights = tf.cast(self._shares(patches), patches.dtype)
    return token_ops.pool_patches(
        patches * weights[..., tf.newaxis], self._patch_shape,
        self._pool_window, 'sum')

  def _shares(self, patches: tf.Tensor) -> tf.Tensor:
    projected = rematerialization.layer_norm(
        tf.cast(patches, tf.float32), tf.convert_to_tensor(self.projection),
        tf.zeros([]), self._norm_epsilon)  # [B, N, D]
    scores = tf.reduce_sum(projected, axis=-1, keepdims=True)
    return token_ops.softmax_in_windows(
        scores, self._patch_shape, self._pool_window)[..., 0]


BY_NAME: dict[str, type[LearnedPooling]] = {
    'conv': ConvPooling,
    'weighted': WeightedPooling,
}
