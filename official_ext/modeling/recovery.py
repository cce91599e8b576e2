"""Recovery of full-length tokens, for what asks of every patch.

Paper, section 3.2, after Funnel-Transformer (arXiv 2006.03236, section 2.2):
each token of the last block is repeated over the patches that it stands for,
the tokens of the first block are added, which are full-length, and a few
transformer layers follow. Tokens before the patches were never pooled: those
of both blocks are added as they are.

Where we differ: Funnel-Transformer repeats by the total stride, which is right
for a sequence whose length is a multiple of it. Here the pools are undone one
by one, so that short windows and rectangles of a grid give every patch the
token that it went into. Its layers normalise what they return and ours what
they are given. So the tokens of the first block pass a LayerNorm where those of
the last one did, in the encoder, and neither outweighs the other; and a
LayerNorm ends the layers, as one ends the encoder. With one block nothing was
pooled: the tokens of the encoder are full-length, and are added to nothing.

Legend: B batch, K tokens before the patches, N patch tokens, N' those of the
last block, D hidden size of the first block, D' of the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import tensorflow as tf
import tf_keras

from official_ext.modeling import layout as layout_lib
from official_ext.modeling import options as options_lib
from official_ext.modeling import token_ops
from official_ext.modeling import transformer_layer


def up_sample(patches: tf.Tensor,
              blocks: Sequence[layout_lib.ResolvedBlock]) -> tf.Tensor:
  """Repeats the last block's tokens over the patches that they stand for.

  Args:
    patches: [B, N', D], without the tokens before them.
    blocks: as `layout.resolve` returns them.

  Returns:
    [B, N, D].
  """
  for before, after in zip(blocks[-2::-1], blocks[:0:-1]):
    patches = token_ops.repeat_in_windows(
        patches, before.patch_shape, after.pool_window)
  return patches


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class Recovery(tf_keras.layers.Layer):
  """Full-length tokens from those of the last block and of the first.

  Call with the tokens that the encoder returns, [B, K + N', D'], and those that
  the first block returned, [B, K + N, D]; returns [B, K + N, D].
  """

  def __init__(
      self,
      blocks: Sequence[layout_lib.ResolvedBlock | Mapping[str, Any]],
      num_layers: int,
      options: options_lib.EncoderOptions | Mapping[str, Any] | None = None,
      kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
      **kwargs,
  ):
    """Initialises the layer.

    Args:
      blocks: the blocks of a layout, as `layout.resolve` returns them.
      num_layers: transformer layers, of the sizes of the first block.
      options: of the encoder; a mapping comes from `get_config`.
      kernel_regularizer: regulariser of every kernel.
      **kwargs: of `tf_keras.layers.Layer`.
    """
    super().__init__(**kwargs)
    if not isinstance(options, options_lib.EncoderOptions):
      options = options_lib.EncoderOptions(**(options or {}))
    self._blocks = tuple(layout_lib.as_block(block) for block in blocks)
    self._num_layers = num_layers
    self._options = options
    self._kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)

  def build(self, input_shape: tf.TensorShape):
    first, last = self._blocks[0], self._blocks[-1]
    if len(self._blocks) > 1 and self._options.has_final_norm:
      self._first_norm = self._new_norm('recovery_first_norm')
    if first.hidden_size != last.hidden_size:
      self._projection = tf_keras.layers.Dense(
          first.hidden_size,
          kernel_initializer=self._options.kernel_initializer,
          kernel_regularizer=self._kernel_regularizer,
          name='recovery_projection')
    # Other names than the encoder's: a learning rate by layer takes these for
    # what follows the encoder, which is new as well.
    self._recovery_layers = [
        transformer_layer.TransformerLayer(
            num_heads=first.num_heads,
            mlp_dim=first.mlp_dim,
            options=self._options,
            stochastic_depth_rate=self._options.init_stochastic_depth_rate,
            kernel_regularizer=self._kernel_regularizer,
            name=f'recovery_layer_{position + 1}')
        for position in range(self._num_layers)]
    if self._recovery_layers:
      self._norm = self._new_norm('recovery_norm')
    super().build(input_shape)

  def _new_norm(self, name: str) -> tf_keras.layers.LayerNormalization:
    return tf_keras.layers.LayerNormalization(
        epsilon=self._options.norm_epsilon, name=name)

  def call(self, encoded: tf.Tensor, first_block: tf.Tensor,
           training: bool | None = None) -> tf.Tensor:
    """Recovers the tokens.

    Args:
      encoded: the tokens that the encoder returns, [B, K + N', D'].
      first_block: those that the first block returned, [B, K + N, D]; with one
        block they are not read.
      training: whether dropout acts.

    Returns:
      [B, K + N, D].
    """
    tokens = encoded
    if len(self._blocks) > 1:
      if self._blocks[0].hidden_size != self._blocks[-1].hidden_size:
        # Before they are repeated, which costs less.
        tokens = self._projection(tokens)  # [B, K + N', D'] -> [B, K + N', D]
      tokens = token_ops.map_patches(
          lambda patches: up_sample(patches, self._blocks), tokens,
          self._options.num_prefix_tokens)  # [B, K + N, D]
      if self._options.has_final_norm:
        first_block = self._first_norm(first_block)
      tokens += tf.cast(first_block, tokens.dtype)
    for layer in self._recovery_layers:
      tokens = transformer_layer.run(layer, tokens, training=training)
    return self._norm(tokens) if self._recovery_layers else tokens

  def get_config(self) -> dict[str, Any]:
    return {
        **super().get_config(),
        'blocks': [dataclasses.asdict(block) for block in self._blocks],
        'num_layers': self._num_layers,
        'options': dataclasses.asdict(self._options),
        'kernel_regularizer': tf_keras.regularizers.serialize(
            self._kernel_regularizer),
    }
