"""An attention-pooling head: a learned probe gathers the tokens of an image.

It is big_vision's `MAPHead`, which SigLIP reads its images with (arXiv
2303.15343; after Set Transformer, arXiv 1810.00825). The probe attends to all
tokens, those before the patches among them, as in timm.

Legend: B batch, T tokens, D hidden size, M inner size of the MLP.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

import tensorflow as tf
import tf_keras

from official_ext.modeling import gelu
from official_ext.modeling import options as options_lib
from official_ext.modeling import token_ops


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class AttentionPooling(tf_keras.layers.Layer):
  """Attention of a probe over the tokens, then an MLP beside a residual.

  Call with tokens [B, T, D]; returns [B, D].
  """

  def __init__(
      self,
      num_heads: int,
      mlp_dim: int,
      options: options_lib.EncoderOptions | Mapping[str, Any] | None = None,
      kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
      **kwargs,
  ):
    """Initialises the layer.

    Args:
      num_heads: attention heads, which divide D.
      mlp_dim: M.
      options: of the encoder; a mapping comes from `get_config`.
      kernel_regularizer: regulariser of every kernel.
      **kwargs: of `tf_keras.layers.Layer`.
    """
    super().__init__(**kwargs)
    if not isinstance(options, options_lib.EncoderOptions):
      options = options_lib.EncoderOptions(**(options or {}))
    self._num_heads = num_heads
    self._mlp_dim = mlp_dim
    self._options = options
    self._kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)

  def build(self, input_shape: tf.TensorShape):
    size = input_shape[-1]
    kernels = dict(kernel_initializer=self._options.kernel_initializer,
                   kernel_regularizer=self._kernel_regularizer)
    self._probe = self.add_weight(
        'probe', (1, 1, size), initializer='glorot_uniform')
    self._attention_layer = tf_keras.layers.MultiHeadAttention(
        self._num_heads, size // self._num_heads, name='attention', **kernels)
    self._norm = tf_keras.layers.LayerNormalization(
        epsilon=self._options.norm_epsilon, name='norm')
    self._intermediate_dense = tf_keras.layers.Dense(
        self._mlp_dim, name='intermediate', **kernels)
    self._output_dense = tf_keras.layers.Dense(size, name='output', **kernels)
    super().build(input_shape)

  def call(self, tokens: tf.Tensor) -> tf.Tensor:
    probe = token_ops.for_every_image(self._probe, tokens)  # [B, 1, D]
    gathered = self._attention_layer(probe, tokens)[:, 0]  # [B, D]
    inner = self._intermediate_dense(self._norm(gathered))  # [B, M]
    activated, _ = gelu.BY_NAME[self._options.activation](
        tf.cast(inner, tf.float32))
    return gathered + self._output_dense(tf.cast(activated, inner.dtype))

  def get_config(self) -> dict[str, Any]:
    return {
        **super().get_config(),
        'num_heads': self._num_heads,
        'mlp_dim': self._mlp_dim,
        'options': dataclasses.asdict(self._options),
        'kernel_regularizer': tf_keras.regularizers.serialize(
            self._kernel_regularizer),
    }
