"""The funnel encoder: transformer layers in blocks, pooled in between.

Paper, section 3.2, with the pool-query-only attention of Funnel-Transformer
(arXiv 2006.03236): the first layer of a block takes its query from the pooled
tokens and its keys and values from the unpooled ones. Both pass the same
LayerNorm; the residual is the pooled tokens themselves, unnormalised.

The names of attributes are the keys of checkpoints, and those are the keys of
Model Garden's ViT encoder: ViT and Funnel-ViT read each other's.

Legend: B batch, T tokens, S tokens before a pool, D hidden size, N heads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

from official.vision.modeling.backbones import vit
from official.vision.modeling.layers import nn_layers
import tensorflow as tf
import tf_keras

from official_ext.modeling import layout as layout_lib
from official_ext.modeling import learned_pooling
from official_ext.modeling import options as options_lib
from official_ext.modeling import random_masks
from official_ext.modeling import sin_cos_positions
from official_ext.modeling import token_ops
from official_ext.modeling import token_windows
from official_ext.modeling import transformer_layer


@dataclasses.dataclass(frozen=True)
class Pool:
  """A pool between two blocks, and what went into it.

  Attributes:
    unpooled: [B, S, D], of the width of the block after the pool.
    patch_shape: the patch tokens among them, `(S,)` or `(H, W)`.
    window: as many window lengths as `patch_shape` has sides.
    layer: of a pool that has variables, or None.
  """
  unpooled: tf.Tensor
  patch_shape: tuple[int, ...]
  window: tuple[int, ...]
  layer: learned_pooling.LearnedPooling | None = None


@dataclasses.dataclass(frozen=True)
class LayerTrace:
  """A transformer layer and what it was given.

  Attributes:
    layer: the layer.
    query: [B, T, D].
    key_value: [B, S, D]; None: the query tokens.
    pool: the pool before the layer, if there was one.
    num_outputs: how many tokens the layer computes, from the first.
  """
  layer: transformer_layer.TransformerLayer
  query: tf.Tensor
  key_value: tf.Tensor | None
  pool: Pool | None
  num_outputs: int

  def attention_weights(self) -> tf.Tensor:
    """Returns those of the computed tokens, [B, N, num_outputs, S]."""
    key_value = self.query if self.key_value is None else self.key_value
    return self.layer.attention_weights(
        self.query[:, :self.num_outputs], key_value)


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class FunnelEncoder(tf_keras.layers.Layer):
  """Position embedding, blocks of transformer layers, final LayerNorm.

  Call with [B, T, D] of the first block; returns [B, T', D'] of the last. The
  class token, if there is one, comes first; it, the distillation token after it
  and the registers that the encoder adds behind them are never pooled.
  """

  def __init__(
      self,
      blocks: Sequence[layout_lib.ResolvedBlock | Mapping[str, Any]],
      options: options_lib.EncoderOptions | Mapping[str, Any] | None = None,
      kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
      sin_cos_grid: Sequence[int] | None = None,
      **kwargs,
  ):
    """Initialises the encoder.

    Args:
      blocks: the blocks of a layout, as `layout.resolve` returns them.
      options: how to compute; a mapping comes from `get_config`.
      kernel_regularizer: regulariser of every kernel.
      sin_cos_grid: (rows, columns) of the patches whose positions are fixed
        sines and cosines; None: they are learned.
      **kwargs: of `tf_keras.layers.Layer`.
    """
    super().__init__(**kwargs)
    if not isinstance(options, options_lib.EncoderOptions):
      options = options_lib.EncoderOptions(**(options or {}))
    self._blocks = tuple(layout_lib.as_block(block) for block in blocks)
    self._options = options
    self._kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)
    self._sin_cos_grid = sin_cos_grid and tuple(sin_cos_grid)

  def build(self, input_shape: tf.TensorShape):
    num_tokens, hidden_size = input_shape[1:]
    first = self._blocks[0]
    expected = first.num_tokens - self._options.num_registers
    if (num_tokens, hidden_size) != (expected, first.hidden_size):
      raise ValueError(
          f'the encoder was laid out for {expected} tokens of size '
          f'{first.hidden_size}, but its input has {num_tokens} of size '
          f'{hidden_size}. Resolve the layout for this image size.')
    self._pos_embed = self._positions('posembed_input')
    if self._options.num_registers:
      self._registers = self.add_weight(
          'registers', (1, self._options.num_registers, hidden_size),
          initializer=tf_keras.initializers.RandomNormal(stddev=0.02))
    if self._options.norm_before_layers:
      self._norm_before_layers = self._new_norm('norm_before_layers')
    self._dropout = random_masks.Dropout(self._options.dropout_rate)
    num_layers = sum(block.num_layers for block in self._blocks)
    self._encoder_layers = []
    key_sizes = [None] * num_layers
    if self._options.attention_bias == 'proportional':
      key_sizes = token_windows.key_sizes(
          self._blocks, self._options.num_prefix_tokens,
          self._options.pool_query_only)
    for block in self._blocks:
      for _ in range(block.num_layers):
        index = len(self._encoder_layers)
        self._encoder_layers.append(
            self._transformer_layer(
                block, index + 1, num_layers, key_sizes[index]))
    # Only where two blocks differ in hidden size: with equal widths there must
    # be no variable that ViT lacks.
    self._projections = {}
    if self._options.pooling in learned_pooling.BY_NAME:
      self._pools = {}
    position = 1
    for index, (before, after) in enumerate(
        zip(self._blocks, self._blocks[1:]), start=1):
      position += before.num_layers
      if before.hidden_size != after.hidden_size:
        self._projections[str(index)] = tf_keras.layers.Dense(
            after.hidden_size,
            kernel_initializer=self._options.kernel_initializer,
            kernel_regularizer=self._kernel_regularizer,
            name=f'projection_before_layer_{position}')
      if self._options.pooling in learned_pooling.BY_NAME:
        self._pools[str(index)] = self._learned_pooling(
            before, after, position)
    if self._options.has_final_norm:
      self._norm = self._new_norm()
    super().build(input_shape)

  def _positions(self, name: str) -> vit.AddPositionEmbs:
    if self._sin_cos_grid:
      return sin_cos_positions.SinCosPositions(self._sin_cos_grid, name=name)
    return vit.AddPositionEmbs(
        posemb_init=tf_keras.initializers.RandomNormal(stddev=0.02), name=name)

  def _new_norm(
      self, name: str | None = None) -> tf_keras.layers.LayerNormalization:
    return tf_keras.layers.LayerNormalization(
        epsilon=self._options.norm_epsilon, name=name)

  def _learned_pooling(
      self, before: layout_lib.ResolvedBlock, after: layout_lib.ResolvedBlock,
      position: int) -> learned_pooling.LearnedPooling:
    """Makes the pool between two blocks, of which one begins at `position`."""
    return learned_pooling.BY_NAME[self._options.pooling](
        before.patch_shape, after.pool_window,
        self._options.num_prefix_tokens, self._options.norm_epsilon,
        self._kernel_regularizer, name=f'pool_before_layer_{position}')

  def _transformer_layer(self, block: layout_lib.ResolvedBlock, position: int,
                         num_layers: int, key_sizes: Sequence[int] | None
                         ) -> transformer_layer.TransformerLayer:
    """Makes a layer of a block; `position` counts from 1 over all blocks."""
    return transformer_layer.TransformerLayer(
        num_heads=block.num_heads,
        mlp_dim=block.mlp_dim,
        options=self._options,
        stochastic_depth_rate=nn_layers.get_stochastic_depth_rate(
            self._options.init_stochastic_depth_rate, position, num_layers),
        kernel_regularizer=self._kernel_regularizer,
        key_sizes=key_sizes,
        # Layer-wise learning-rate decay reads the position from the name.
        name=f'layer_{position}')

  # AutoGraph would translate Python that depends on no tensor, which takes a
  # third of the time to build or trace a model.
  @tf.autograph.experimental.do_not_convert
  def call(
      self, inputs: tf.Tensor, training: bool | None = None,
      returns_blocks: bool = False,
  ) -> tf.Tensor | tuple[tf.Tensor, list[tf.Tensor]]:
    """Runs the encoder.

    Args:
      inputs: [B, T, D] of the first block, without registers.
      training: whether dropout acts.
      returns_blocks: whether the tokens of every block are returned too.

    Returns:
      The tokens of the last block, [B, T', D']; with `returns_blocks` these and
      a list of what the last layer of every block returned, [B, T, D] of that
      block, before any LayerNorm.

    Raises:
      ValueError: if the tokens of the last block are to be returned, but the
        options say that the class token alone is computed.
    """
    if not returns_blocks:
      return self._forward(inputs, training)
    if self._options.class_token_only:
      raise ValueError(
          'returns_blocks needs every token of the last block: set '
          'class_token_only=False.')
    outputs = []
    return self._forward(inputs, training, block_outputs=outputs), outputs

  def trace(self, inputs: tf.Tensor) -> tuple[list[LayerTrace], tf.Tensor]:
    """Calls the encoder without dropout, and tells what each layer was given.

    Args:
      inputs: [B, T, D], as `call` takes it.

    Returns:
      The layers, in order, and what `call` returns.

    Raises:
      ValueError: if the encoder has no variables yet.
    """
    if not self.built:
      raise ValueError(
          f'{self.name} has no variables yet. Call it before tracing it.')
    traces = []
    return traces, self._forward(
        inputs, training=False, before_layer=traces.append)

  def _forward(
      self, inputs: tf.Tensor, training: bool | None,
      before_layer: Callable[[LayerTrace], None] | None = None,
      block_outputs: list[tf.Tensor] | None = None) -> tf.Tensor:
    """Runs all layers, calls a hook before each and collects every block's."""
    x = self._embed(inputs, training)  # [B, T, D]
    layers = iter(self._encoder_layers)
    for index, block in enumerate(self._blocks):
      for position in range(block.num_layers):
        layer, key_value, pool = next(layers), None, None
        if index and not position:
          x, pool = self._pool(x, index)  # [B, S, D] -> [B, T, D']
          if self._options.pool_query_only:
            key_value = pool.unpooled
        num_outputs = self._num_outputs(layer, x.shape[1])
        if before_layer:
          before_layer(LayerTrace(layer, x, key_value, pool, num_outputs))
        x = transformer_layer.run(
            layer, x, key_value, num_outputs, training)  # [B, T, D']
      if block_outputs is not None:
        block_outputs.append(x)
    return self._norm(x) if self._options.has_final_norm else x

  def _embed(self, tokens: tf.Tensor, training: bool | None) -> tf.Tensor:
    """Adds positions and registers, [B, T - R, D] -> [B, T, D]."""
    options = self._options
    num_read = options.num_read_tokens
    if options.class_token_position or not num_read:
      tokens = self._pos_embed(tokens)
    else:
      tokens = tf.concat(
          [tokens[:, :num_read], self._pos_embed(tokens[:, num_read:])], axis=1)
    if options.num_registers:
      tokens = token_ops.insert_tokens(tokens, self._registers, num_read)
    tokens = self._dropout(tokens, training=training)
    if options.norm_before_layers:
      tokens = self._norm_before_layers(tokens)
    return tokens

  def _pool(self, x: tf.Tensor, index: int) -> tuple[tf.Tensor, Pool]:
    """Resizes the tokens for block `index` >= 1 and pools them."""
    if str(index) in self._projections:
      # Before pooling, so that query, key and value share the new width.
      x = self._projections[str(index)](x)  # [B, S, D] -> [B, S, D']
    patch_shape, window = (
        self._blocks[index - 1].patch_shape, self._blocks[index].pool_window)
    if self._options.pooling in learned_pooling.BY_NAME:
      layer = self._pools[str(index)]
      return layer(x), Pool(x, patch_shape, window, layer)
    pool = Pool(x, patch_shape, window)
    return token_ops.pool_tokens(
        x, pool.patch_shape, pool.window, self._options.pooling,
        self._options.num_prefix_tokens), pool

  def _num_outputs(self, layer: transformer_layer.TransformerLayer,
                   num_tokens: int) -> int:
    """Returns how many of the tokens a layer computes."""
    is_last = layer is self._encoder_layers[-1]
    return 1 if is_last and self._options.class_token_only else num_tokens

  def get_config(self) -> dict[str, Any]:
    return {
        **super().get_config(),
        'blocks': [dataclasses.asdict(block) for block in self._blocks],
        'options': dataclasses.asdict(self._options),
        'kernel_regularizer': tf_keras.regularizers.serialize(
            self._kernel_regularizer),
        'sin_cos_grid': self._sin_cos_grid,
    }
