"""The funnel encoder: transformer layers in blocks, pooled in between.

Paper, section 3.2, with the pool-query-only attention of Funnel-Transformer
(arXiv 2006.03236): the first layer of a block takes its query from the pooled
tokens and its keys and values from the unpooled ones. Both pass the same
LayerNorm; the residual is the pooled tokens themselves, unnormalised.

The layers are Model Garden's, under the attribute names of its ViT encoder, so
that ViT and Funnel-ViT read each other's checkpoints.

Legend: B batch, T tokens, S tokens before a pool, D hidden size, N heads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

from official.modeling import activations
from official.vision.modeling.backbones import vit
from official.vision.modeling.layers import nn_layers
import tensorflow as tf
import tf_keras

from official_ext.modeling import fused_ops
from official_ext.modeling import layout as layout_lib
from official_ext.modeling import token_ops
from official_ext.modeling import transformer_layer

# As in Model Garden's ViT, to agree with the JAX implementation.
_NORM_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class Pool:
  """A pool between two blocks, and what went into it.

  Attributes:
    unpooled: [B, S, D], of the width of the block after the pool.
    patch_shape: the patch tokens among them, `(S,)` or `(H, W)`.
    window: as many window lengths as `patch_shape` has sides.
  """
  unpooled: tf.Tensor
  patch_shape: tuple[int, ...]
  window: tuple[int, ...]


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

  def attention_scores(self) -> tf.Tensor:
    """The attention weights of the computed tokens, [B, N, num_outputs, S]."""
    key_value = self.query if self.key_value is None else self.key_value
    return self.layer.attention_scores(
        self.query[:, :self.num_outputs], key_value)


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class FunnelEncoder(tf_keras.layers.Layer):
  """Position embedding, blocks of transformer layers, final LayerNorm.

  Call with [B, T, D] of the first block; returns [B, T', D'] of the last. The
  class token, if there is one, comes first and is never pooled.
  """

  def __init__(
      self,
      blocks: Sequence[layout_lib.ResolvedBlock | Mapping[str, Any]],
      pooling: str = 'mean',
      pool_query_only: bool = True,
      has_class_token: bool = True,
      dropout_rate: float = 0.0,
      attention_dropout_rate: float = 0.0,
      kernel_initializer: str | Mapping[str, Any] = 'glorot_uniform',
      kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
      init_stochastic_depth_rate: float = 0.0,
      layer_scale_init_value: float = 0.0,
      class_token_only: bool = False,
      fused_layers: bool = True,
      bfloat16_gelu: bool = False,
      float32_products: bool = False,
      recompute_layers: bool = False,
      **kwargs,
  ):
    """Initialises the encoder.

    Args:
      blocks: the blocks of a layout, as `layout.resolve` returns them.
      pooling: 'mean' or 'max'.
      pool_query_only: whether the first layer after a pool takes its keys and
        values from the unpooled tokens.
      has_class_token: whether the first token is a class token.
      dropout_rate: dropout of the embeddings and of each layer's two outputs.
      attention_dropout_rate: dropout of the attention weights.
      kernel_initializer: initialiser of the layers' kernels.
      kernel_regularizer: regulariser of the layers' kernels.
      init_stochastic_depth_rate: drop rate of the last layer's residual
        branches; the others grow linearly up to it.
      layer_scale_init_value: initial LayerScale, 0 for none.
      class_token_only: whether the last layer computes the class token alone,
        from all tokens; the result is then [B, 1, D'].
      fused_layers: whether the layers take the faster way of
        `transformer_layer`; the result is the same up to rounding.
      bfloat16_gelu: whether fused layers compute GELU in bfloat16 where they
        compute in it.
      float32_products: whether the matrix products of fused bfloat16 layers
        are computed in float32 and rounded.
      recompute_layers: whether to keep only the inputs of every layer and
        compute the layer again in the backward pass.
      **kwargs: of `tf_keras.layers.Layer`.

    Raises:
      ValueError: if `class_token_only` is set without a class token, or
        `recompute_layers` with dropout.
    """
    super().__init__(**kwargs)
    if class_token_only and not has_class_token:
      raise ValueError(
          'class_token_only needs a class token: has_class_token is False.')
    if recompute_layers and (
        dropout_rate or attention_dropout_rate or init_stochastic_depth_rate):
      raise ValueError(
          'recompute_layers would drop other values the second time. Set '
          'dropout_rate, attention_dropout_rate and '
          'init_stochastic_depth_rate to 0, or recompute_layers to false.')
    self._blocks = tuple(_as_block(block) for block in blocks)
    self._pooling = pooling
    self._pool_query_only = pool_query_only
    self._has_class_token = has_class_token
    self._dropout_rate = dropout_rate
    self._attention_dropout_rate = attention_dropout_rate
    self._kernel_initializer = kernel_initializer
    self._kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)
    self._init_stochastic_depth_rate = init_stochastic_depth_rate
    self._layer_scale_init_value = layer_scale_init_value
    self._class_token_only = class_token_only
    self._fused_layers = fused_layers
    self._bfloat16_gelu = bfloat16_gelu
    self._float32_products = float32_products
    self._recompute_layers = recompute_layers

  def build(self, input_shape: tf.TensorShape):
    num_tokens, hidden_size = input_shape[1:]
    first = self._blocks[0]
    if (num_tokens, hidden_size) != (first.num_tokens, first.hidden_size):
      raise ValueError(
          f'the encoder was laid out for {first.num_tokens} tokens of size '
          f'{first.hidden_size}, but its input has {num_tokens} of size '
          f'{hidden_size}. Resolve the layout for this image size.')
    self._pos_embed = vit.AddPositionEmbs(
        posemb_init=tf_keras.initializers.RandomNormal(stddev=0.02),
        name='posembed_input')
    self._dropout = tf_keras.layers.Dropout(self._dropout_rate)
    num_layers = sum(block.num_layers for block in self._blocks)
    self._encoder_layers = []
    for block in self._blocks:
      for _ in range(block.num_layers):
        self._encoder_layers.append(
            self._transformer_layer(block, len(self._encoder_layers) + 1,
                                    num_layers))
    # Only where two blocks differ in hidden size: with equal widths there must
    # be no variable that ViT lacks.
    self._projections = {}
    position = 1
    for index, (before, after) in enumerate(
        zip(self._blocks, self._blocks[1:]), start=1):
      position += before.num_layers
      if before.hidden_size != after.hidden_size:
        self._projections[str(index)] = tf_keras.layers.Dense(
            after.hidden_size,
            kernel_initializer=self._kernel_initializer,
            kernel_regularizer=self._kernel_regularizer,
            name=f'projection_before_layer_{position}')
    self._norm = tf_keras.layers.LayerNormalization(epsilon=_NORM_EPSILON)
    super().build(input_shape)

  def _transformer_layer(self, block: layout_lib.ResolvedBlock, position: int,
                         num_layers: int) -> tf_keras.layers.Layer:
    """One layer of a block; `position` counts from 1 over all blocks."""
    return transformer_layer.TransformerLayer(
        num_attention_heads=block.num_heads,
        inner_dim=block.mlp_dim,
        inner_activation=activations.gelu,
        output_dropout=self._dropout_rate,
        attention_dropout=self._attention_dropout_rate,
        kernel_initializer=self._kernel_initializer,
        kernel_regularizer=self._kernel_regularizer,
        norm_first=True,
        norm_epsilon=_NORM_EPSILON,
        stochastic_depth_drop_rate=nn_layers.get_stochastic_depth_rate(
            self._init_stochastic_depth_rate, position, num_layers),
        layer_scale_init_value=self._layer_scale_init_value,
        fused=self._fused_layers,
        bfloat16_gelu=self._bfloat16_gelu,
        float32_products=self._float32_products,
        # Layer-wise learning-rate decay reads the position from the name.
        name=f'layer_{position}')

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    return self._walk(inputs, training)

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
    return traces, self._walk(inputs, training=False, visit=traces.append)

  def _walk(self, inputs: tf.Tensor, training: bool | None,
            visit: Callable[[LayerTrace], None] | None = None) -> tf.Tensor:
    """Runs all layers; `visit` is told of each before it runs."""
    x = self._pos_embed(inputs)
    x = self._dropout(x, training=training)
    layers = iter(self._encoder_layers)
    for index, block in enumerate(self._blocks):
      for position in range(block.num_layers):
        layer, key_value, pool = next(layers), None, None
        if index and not position:
          x, pool = self._pool(x, index)  # [B, S, D] -> [B, T, D']
          key_value = pool.unpooled if self._pool_query_only else None
        if visit:
          visit(LayerTrace(
              layer, x, key_value, pool, self._output_range(layer) or x.shape[1]
          ))
        x = self._run(layer, x, key_value, training)  # [B, T, D']
    return self._norm(x)

  def _pool(self, x: tf.Tensor, index: int) -> tuple[tf.Tensor, Pool]:
    """Resizes the tokens for block `index` >= 1 and pools them."""
    if str(index) in self._projections:
      # Before pooling, so that query, key and value share the new width.
      x = self._projections[str(index)](x)  # [B, S, D] -> [B, S, D']
    pool = Pool(x, self._blocks[index - 1].patch_shape,
                self._blocks[index].pool_window)
    return token_ops.pool_tokens(
        x, pool.patch_shape, pool.window, self._pooling,
        self._has_class_token), pool

  def _output_range(self, layer: tf_keras.layers.Layer) -> int | None:
    """How many tokens a layer computes; None for all."""
    is_last = layer is self._encoder_layers[-1]
    return 1 if is_last and self._class_token_only else None

  def _run(self, layer: tf_keras.layers.Layer, query: tf.Tensor,
           key_value: tf.Tensor | None, training: bool | None) -> tf.Tensor:
    """Runs one layer: [B, T, D], or [B, 1, D] of the class token alone."""
    output_range = self._output_range(layer)

    def run(query, *key_value):
      inputs = [query, *key_value, None] if key_value else query
      return layer(inputs, output_range=output_range, training=training)

    # The variables must exist before TensorFlow looks for them.
    if (self._recompute_layers and layer.built and
        not fused_ops.is_inferring_shapes()):
      run = tf.recompute_grad(run)
    return run(query) if key_value is None else run(query, key_value)

  def get_config(self) -> dict[str, Any]:
    return {
        **super().get_config(),
        'blocks': [dataclasses.asdict(block) for block in self._blocks],
        'pooling': self._pooling,
        'pool_query_only': self._pool_query_only,
        'has_class_token': self._has_class_token,
        'dropout_rate': self._dropout_rate,
        'attention_dropout_rate': self._attention_dropout_rate,
        'kernel_initializer': self._kernel_initializer,
        'kernel_regularizer': tf_keras.regularizers.serialize(
            self._kernel_regularizer),
        'init_stochastic_depth_rate': self._init_stochastic_depth_rate,
        'layer_scale_init_value': self._layer_scale_init_value,
        'class_token_only': self._class_token_only,
        'fused_layers': self._fused_layers,
        'bfloat16_gelu': self._bfloat16_gelu,
        'float32_products': self._float32_products,
        'recompute_layers': self._recompute_layers,
    }


def _as_block(
    block: layout_lib.ResolvedBlock | Mapping[str, Any],
) -> layout_lib.ResolvedBlock:
  """A block from itself or from `get_config`, where tuples became lists."""
  if isinstance(block, layout_lib.ResolvedBlock):
    return block
  return layout_lib.ResolvedBlock(**{
      key: tuple(value) if isinstance(value, (list, tuple)) else value
      for key, value in block.items()})
