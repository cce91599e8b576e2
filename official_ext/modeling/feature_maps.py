"""Maps of features by level, as Model Garden's decoders read them.

At the level of the patches there is one for every layout: the recovered tokens
(`recovery`). A block whose tokens form a grid of another level has one of its
own. The last block's are the tokens that the encoder returns; those of a block
before it pass a LayerNorm first, as in Swin Transformer (arXiv 2103.14030),
since the residual stream grows from layer to layer. A pyramid
(`feature_pyramid`) makes every level from the recovered map alone.

Legend: B batch, K tokens before the patches, N patch tokens of a block, T = K +
N tokens, H x W their grid, D hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import tensorflow as tf
import tf_keras

from official_ext.modeling import feature_levels
from official_ext.modeling import feature_pyramid
from official_ext.modeling import options as options_lib
from official_ext.modeling import recovery
from official_ext.modeling import specs


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class FeatureMaps(tf_keras.layers.Layer):
  """Maps from the tokens of the blocks.

  Call with the tokens that the encoder returns, [B, T, D] of the last block,
  and what every block returned; returns maps [B, H, W, D] by level as text.
  """

  def __init__(
      self,
      spec: specs.ModelSpec | Mapping[str, Any],
      options: options_lib.EncoderOptions | Mapping[str, Any] | None = None,
      kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
      **kwargs,
  ):
    """Initialises the layer.

    Args:
      spec: the sizes of the model, with feature maps; a mapping comes from
        `get_config`.
      options: of the encoder; likewise.
      kernel_regularizer: regulariser of every kernel.
      **kwargs: of `tf_keras.layers.Layer`.
    """
    super().__init__(**kwargs)
    if not isinstance(options, options_lib.EncoderOptions):
      options = options_lib.EncoderOptions(**(options or {}))
    if not isinstance(spec, specs.ModelSpec):
      spec = specs.from_dict(spec)
    self._spec = spec
    self._options = options
    self._kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)
    self._patch_level = feature_levels.of_patches(spec.patch_size)
    self._block_of_level = feature_levels.of_blocks(
        spec.blocks, spec.patch_size)

  def build(self, input_shape: tf.TensorShape):
    spec = self._spec
    maps = spec.feature_maps
    if spec.recovers_tokens:
      self._recovery = recovery.Recovery(
          spec.blocks, maps.recovery_layers, self._options,
          self._kernel_regularizer, name='recovery')
    if maps.source == feature_levels.PYRAMID:
      self._pyramid = feature_pyramid.FeaturePyramid(
          maps.levels, self._patch_level, maps.pyramid_filters, self._options,
          self._kernel_regularizer, name='pyramid')
    # Level, as text, to the LayerNorm of its block.
    self._level_norms = {
        str(level): tf_keras.layers.LayerNormalization(
            epsilon=self._options.norm_epsilon, name=f'level_{level}_norm')
        for level in feature_levels.normalized(
            maps, spec.blocks, spec.patch_size)}
    super().build(input_shape)

  @tf.autograph.experimental.do_not_convert
  def call(self, encoded: tf.Tensor, block_outputs: Sequence[tf.Tensor],
           training: bool | None = None) -> dict[str, tf.Tensor]:
    """Makes the maps.

    Args:
      encoded: the tokens that the encoder returns, [B, T, D].
      block_outputs: what every block returned, [B, T, D] of each.
      training: whether dropout acts.

    Returns:
      The maps, [B, H, W, D], by level as text.
    """
    spec = self._spec
    full_length = None
    if spec.recovers_tokens:
      full_length = self._as_map(
          self._recovery(encoded, block_outputs[0], training=training),
          spec.grid)
    if spec.feature_maps.source == feature_levels.PYRAMID:
      return self._pyramid(full_length)
    maps = {}
    for level in spec.feature_maps.levels:
      if level == self._patch_level:
        maps[str(level)] = full_length
        continue
      index = self._block_of_level[level]
      tokens = encoded
      if str(level) in self._level_norms:
        tokens = self._level_norms[str(level)](block_outputs[index])
      maps[str(level)] = self._as_map(tokens, spec.blocks[index].patch_shape)
    return maps

  def _as_map(self, tokens: tf.Tensor, grid: Sequence[int]) -> tf.Tensor:
    """Arranges patch tokens, [B, K + H * W, D] -> [B, H, W, D]."""
    patches = tokens[:, self._options.num_prefix_tokens:]
    return tf.reshape(patches, [-1, *grid, patches.shape[-1]])

  def get_config(self) -> dict[str, Any]:
    return {
        **super().get_config(),
        'spec': specs.as_dict(self._spec),
        'options': dataclasses.asdict(self._options),
        'kernel_regularizer': tf_keras.regularizers.serialize(
            self._kernel_regularizer),
    }
