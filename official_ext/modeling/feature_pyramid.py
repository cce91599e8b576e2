"""A simple feature pyramid: maps of several levels from one (ViTDet).

arXiv 2203.16527, section 3 and appendix A.2, as in its published code: maps
that are finer come from transposed convolutions of stride 2, which halve the
channels, with LayerNorm and GELU between two of them; coarser ones from the
largest of 2 x 2; a convolution of 1 x 1 and one of 3 x 3, each with LayerNorm
and without bias, bring all to as many channels.

Legend: B batch, H x W the grid of patches, D hidden size, F channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

import tensorflow as tf
import tf_keras

from official_ext.modeling import feature_levels
from official_ext.modeling import gelu
from official_ext.modeling import options as options_lib
from official_ext.modeling import token_ops


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class FeaturePyramid(tf_keras.layers.Layer):
  """Maps by level from the map of the patches.

  Call with a map [B, H, W, D]; returns, by level as text, [B, H * 2^k, W * 2^k,
  F] for k levels below that of the patches, and [B, ceil(H / 2^k), ceil(W /
  2^k), F] for k levels above it.
  """

  def __init__(
      self,
      levels: Sequence[int],
      patch_level: int,
      filters: int = 256,
      options: options_lib.EncoderOptions | Mapping[str, Any] | None = None,
      kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
      **kwargs,
  ):
    """Initialises the layer.

    Args:
      levels: of the maps.
      patch_level: of the map that it is called with.
      filters: F.
      options: of the encoder; a mapping comes from `get_config`.
      kernel_regularizer: regulariser of every kernel.
      **kwargs: of `tf_keras.layers.Layer`.
    """
    super().__init__(**kwargs)
    if not isinstance(options, options_lib.EncoderOptions):
      options = options_lib.EncoderOptions(**(options or {}))
    self._levels = tuple(levels)
    self._patch_level = patch_level
    self._filters = filters
    self._options = options
    self._kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)

  def build(self, input_shape: tf.TensorShape):
    kernels = dict(kernel_initializer=self._options.kernel_initializer,
                   kernel_regularizer=self._kernel_regularizer)
    # Level, as text, to its layers; names unlike Keras' own, by which a
    # learning rate by layer knows the embedding of patches.
    self._up_samplings: dict[str, list[tf_keras.layers.Layer]] = {}
    self._convolutions: dict[str, list[tf_keras.layers.Layer]] = {}
    for level in self._levels:
      name = f'level_{level}'
      layers = []
      for step, size in enumerate(feature_levels.up_sampled_sizes(
          input_shape[-1], self._patch_level - level)):
        if step:
          layers.append(self._new_norm(f'{name}_up_norm_{step}'))
        layers.append(tf_keras.layers.Conv2DTranspose(
            size, 2, strides=2, name=f'{name}_up_{step + 1}', **kernels))
      self._up_samplings[str(level)] = layers
      self._convolutions[str(level)] = [
          tf_keras.layers.Conv2D(
              self._filters, 1, use_bias=False, name=f'{name}_reduce',
              **kernels),
          self._new_norm(f'{name}_reduce_norm'),
          tf_keras.layers.Conv2D(
              self._filters, 3, padding='same', use_bias=False,
              name=f'{name}_smooth', **kernels),
          self._new_norm(f'{name}_smooth_norm')]
    super().build(input_shape)

  def _new_norm(self, name: str) -> tf_keras.layers.LayerNormalization:
    return tf_keras.layers.LayerNormalization(
        epsilon=self._options.norm_epsilon, name=name)

  def call(self, patches: tf.Tensor) -> dict[str, tf.Tensor]:
    maps = {}
    for level in self._levels:
      x = patches  # [B, H, W, D]
      for layer in self._up_samplings[str(level)]:
        x = layer(x)
        if isinstance(layer, tf_keras.layers.LayerNormalization):
          x = self._activate(x)
      for _ in range(level - self._patch_level):
        for axis in (1, 2):
          x = token_ops.pool_axis(x, axis, 2, 'max')
      for layer in self._convolutions[str(level)]:
        x = layer(x)
      maps[str(level)] = x
    return maps

  def _activate(self, x: tf.Tensor) -> tf.Tensor:
    activated, _ = gelu.BY_NAME[self._options.activation](
        tf.cast(x, tf.float32))
    return tf.cast(activated, x.dtype)

  def get_config(self) -> dict[str, Any]:
    return {
        **super().get_config(),
        'levels': self._levels,
        'patch_level': self._patch_level,
        'filters': self._filters,
        'options': dataclasses.asdict(self._options),
        'kernel_regularizer': tf_keras.regularizers.serialize(
            self._kernel_regularizer),
    }
