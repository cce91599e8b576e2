"""A pre-norm transformer layer whose keys and values may be other tokens.

The names of its attributes are the keys of its checkpoints, and those are
Model Garden's (`TransformerEncoderBlock` with `norm_first`), so that ViT and
Funnel-ViT read each other's.

Legend: B batch, N heads, H head size, T query tokens, S key tokens, D hidden
size, M MLP size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import functools
from typing import Any

from official.vision.modeling.layers import nn_blocks
import tensorflow as tf
import tf_keras

from official_ext.modeling import attention
from official_ext.modeling import custom_gradients
from official_ext.modeling import gelu
from official_ext.modeling import options as options_lib
from official_ext.modeling import random_masks
from official_ext.modeling import rematerialization


class _AttentionWeights(tf_keras.layers.Layer):
  """The four projections of attention: variables, and nothing computed."""

  def __init__(self, num_heads: int, new_dense, **kwargs):
    super().__init__(**kwargs)
    self._num_heads = num_heads
    self._new_dense = new_dense

  def build(self, input_shape: tf.TensorShape):
    size = input_shape[-1]
    heads = [None, self._num_heads, size // self._num_heads]
    for key, name in (('_query_dense', 'query'), ('_key_dense', 'key'),
                      ('_value_dense', 'value')):
      dense = self._new_dense('btd,dnh->btnh', output_shape=heads,
                              bias_axes='nh', name=name)
      setattr(self, key, dense)
      _build(dense, input_shape)
    self._output_dense = self._new_dense(
        'btnh,nhd->btd', output_shape=[None, size], bias_axes='d',
        name='attention_output')
    _build(self._output_dense, tf.TensorShape([None, *heads]))
    super().build(input_shape)

  def projections(self) -> list[tf_keras.layers.Layer]:
    """Returns the layers to query, key and value."""
    return [self._query_dense, self._key_dense, self._value_dense]

  @property
  def output_dense(self) -> tf_keras.layers.Layer:
    """The layer from the heads back to tokens."""
    return self._output_dense


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class TransformerLayer(tf_keras.layers.Layer):
  """Attention and MLP, each after a LayerNorm and beside a residual.

  Call with query tokens [B, T, D]; returns [B, T, D].
  """

  def __init__(
      self,
      num_heads: int,
      mlp_dim: int,
      options: options_lib.EncoderOptions | Mapping[str, Any] | None = None,
      stochastic_depth_rate: float = 0.0,
      kernel_regularizer: tf_keras.regularizers.Regularizer | None = None,
      key_sizes: Sequence[int] | None = None,
      **kwargs,
  ):
    """Initialises the layer.

    Args:
      num_heads: N, which divides D.
      mlp_dim: M.
      options: of the encoder; a mapping comes from `get_config`.
      stochastic_depth_rate: drop rate of the two residual branches.
      kernel_regularizer: regulariser of every kernel.
      key_sizes: how many patches each key stands for, and counts for; None: all
        keys count alike.
      **kwargs: of `tf_keras.layers.Layer`.
    """
    super().__init__(**kwargs)
    if not isinstance(options, options_lib.EncoderOptions):
      options = options_lib.EncoderOptions(**(options or {}))
    self._num_heads = num_heads
    self._mlp_dim = mlp_dim
    self._options = options
    self._stochastic_depth_rate = stochastic_depth_rate
    self._kernel_regularizer = tf_keras.regularizers.get(kernel_regularizer)
    self._key_sizes = key_sizes and tuple(key_sizes)
    self._bias = key_sizes and attention.proportional_bias(key_sizes)
    self._attend = attention.choose(options.attention)
    self._activation = gelu.BY_NAME[options.activation]
    self._matmul = (
        custom_gradients.matmul_in_float32
        if options.float32_matmuls and self.compute_dtype == 'bfloat16'
        else tf.matmul)

  def build(self, input_shape: tf.TensorShape):
    options = self._options
    size = input_shape[-1]
    rows = tf.TensorShape([None, None, size])
    kernels = dict(kernel_initializer=options.kernel_initializer,
                   kernel_regularizer=self._kernel_regularizer)
    new_norm = functools.partial(
        tf_keras.layers.LayerNormalization, epsilon=options.norm_epsilon,
        dtype=tf.float32)
    # In the order of Model Garden's variables.
    self._attention_layer_norm = new_norm(name='self_attention_layer_norm')
    self._intermediate_dense = tf_keras.layers.Dense(
        self._mlp_dim, name='intermediate', **kernels)
    self._output_dense = tf_keras.layers.Dense(size, name='output', **kernels)
    self._output_layer_norm = new_norm(name='output_layer_norm')
    for layer, width in ((self._attention_layer_norm, size),
                         (self._intermediate_dense, size),
                         (self._output_dense, self._mlp_dim),
                         (self._output_layer_norm, size)):
      _build(layer, tf.TensorShape([None, None, width]))
    if options.layer_scale_init_value:
      self._layer_scale_attn = nn_blocks.LayerScale(
          options.layer_scale_init_value, name='layer_scale_attn')
      self._layer_scale_mlp = nn_blocks.LayerScale(
          options.layer_scale_init_value, name='layer_scale_mlp')
      _build(self._layer_scale_attn, rows)
      _build(self._layer_scale_mlp, rows)
    else:
      self._layer_scale_attn = self._layer_scale_mlp = tf.identity
    self._attention_layer = _AttentionWeights(
        self._num_heads,
        functools.partial(tf_keras.layers.EinsumDense, **kernels),
        name='self_attention')
    _build(self._attention_layer, rows)
    self._weights_dropout = random_masks.Dropout(
        options.attention_dropout_rate)
    self._branch_dropout = random_masks.Dropout(options.dropout_rate)
    self._stochastic_depth = random_masks.StochasticDepth(
        self._stochastic_depth_rate)
    super().build(input_shape)

  @property
  def gradient_checkpointing(self) -> bool:
    """Whether the backward pass is to compute the layer again."""
    return self._options.gradient_checkpointing

  def call(self, query: tf.Tensor, key_value: tf.Tensor | None = None,
           num_outputs: int | None = None,
           training: bool | None = None) -> tf.Tensor:
    """Runs the layer.

    Args:
      query: [B, T, D].
      key_value: [B, S, D]; None: the query tokens.
      num_outputs: how many of the query tokens to compute, from the first;
        None for all.
      training: whether dropout acts.

    Returns:
      [B, T, D], or [B, num_outputs, D].
    """
    if num_outputs and num_outputs < query.shape[1]:
      key_value = query if key_value is None else key_value
      query = query[:, :num_outputs]
    heads, query = self._query_key_value(query, key_value, training)
    tokens = query + self._attention(*heads, training=training)
    return self._mlp(tokens, training)

  def _query_key_value(
      self, query: tf.Tensor, key_value: tf.Tensor | None,
      training: bool | None) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Applies the LayerNorm and projects to heads.

    Args:
      query: [B, T, D].
      key_value: [B, S, D]; None: the query tokens.
      training: whether the layer trains.

    Returns:
      Query [B, N, T, H], key and value [B, N, S, H]; and the query tokens, for
      the residual.
    """
    projections = self._attention_layer.projections()
    if key_value is None:
      return self._project(query, projections, training)
    heads, query = self._project(query, projections[:1], training)
    others, _ = self._project(
        tf.cast(key_value, query.dtype), projections[1:], training)
    return heads + others, query

  def _project(self, tokens: tf.Tensor,
               projections: Sequence[tf_keras.layers.Layer],
               training: bool | None) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Projects normalised tokens, [B, T, D] to as many [B, N, T, H].

    In training the weights of fused layers are joined, so that one matrix
    product serves all projections. Joining them for every request would cost a
    server more than it gains.
    """
    num_tokens, size = tokens.shape[1:]
    rows = tf.reshape(tokens, [-1, size])
    norm = self._attention_layer_norm
    # [D, N, H] -> [D, N * H]
    kernels = [tf.reshape(dense.kernel, [size, -1]) for dense in projections]
    biases = [tf.reshape(dense.bias, [-1]) for dense in projections]
    split_heads = functools.partial(
        attention.split_heads, num_tokens=num_tokens,
        num_heads=self._num_heads)
    if not (training and self._options.fused_layers):
      normalized = rematerialization.layer_norm(
          rows, norm.gamma, norm.beta, norm.epsilon)
      return [
          split_heads(rematerialization.dense(
              normalized, _cast(kernel, rows.dtype), _cast(bias, rows.dtype),
              self._matmul), num_projections=1)[0]
          for kernel, bias in zip(kernels, biases, strict=True)], tokens
    projected, rows = rematerialization.normalized_dense(
        rows, norm.gamma, norm.beta,
        _cast(tf.concat(kernels, axis=1), rows.dtype),
        _cast(tf.concat(biases, axis=0), rows.dtype), norm.epsilon,
        self._matmul)
    heads = split_heads(projected, num_projections=len(projections))
    return heads, tf.reshape(rows, [-1, num_tokens, size])

  def _attention(self, query: tf.Tensor, key: tf.Tensor, value: tf.Tensor,
                 training: bool | None) -> tf.Tensor:
    """Runs attention's branch: [B, N, T, H], 2 [B, N, S, H] to [B, T, D]."""
    drop = None
    if training and self._options.attention_dropout_rate:
      drop = functools.partial(self._weights_dropout, training=True)
    context = self._attend(
        query, key, value, drop, self._matmul, training, self._bias)
    dense = self._attention_layer.output_dense
    rows = attention.join_heads(context)  # [B * T, D]
    kernel = tf.reshape(dense.kernel, [rows.shape[-1], -1])
    rows = rematerialization.dense(
        rows, _cast(kernel, rows.dtype), _cast(dense.bias, rows.dtype),
        self._matmul)
    outputs = tf.reshape(rows, [-1, query.shape[2], rows.shape[-1]])
    outputs = self._branch_dropout(outputs, training=training)
    outputs = self._layer_scale_attn(outputs)
    return self._stochastic_depth(outputs, training=training)

  def _mlp(self, tokens: tf.Tensor, training: bool | None) -> tf.Tensor:
    """Runs the MLP's branch and adds the residual, [B, T, D] to the same."""
    rows = tf.reshape(tokens, [-1, tokens.shape[-1]])
    dtype = rows.dtype
    norm, first, second = (
        self._output_layer_norm, self._intermediate_dense, self._output_dense)
    inner, rows = rematerialization.normalized_dense(
        rows, norm.gamma, norm.beta, _cast(first.kernel, dtype),
        _cast(first.bias, dtype), norm.epsilon, self._matmul,
        self._options.fused_layers)  # [B * T, M]
    outputs = rematerialization.activated_dense(
        inner, _cast(second.kernel, dtype), _cast(second.bias, dtype),
        self._activation, self._matmul, self._options.fused_layers)
    outputs = tf.reshape(outputs, [-1, *tokens.shape[1:]])
    outputs = self._branch_dropout(outputs, training=training)
    outputs = self._layer_scale_mlp(outputs)
    outputs = self._stochastic_depth(outputs, training=training)
    return tf.reshape(rows, [-1, *tokens.shape[1:]]) + outputs

  def attention_weights(self, query: tf.Tensor,
                        key_value: tf.Tensor | None = None) -> tf.Tensor:
    """Computes what each query token takes from each key token.

    Args:
      query: [B, T, D], as `call` takes it.
      key_value: [B, S, D]; None: the query tokens.

    Returns:
      The attention weights of every head without dropout, [B, N, T, S]; rows
      sum to one.

    Raises:
      ValueError: if the layer has no variables yet.
    """
    if not self.built:
      raise ValueError(
          f'{self.name} has no variables yet. Call it before asking for its '
          'attention.')
    (query, key, _), _ = self._query_key_value(query, key_value, False)
    return attention.weights(query, key, self._matmul, self._bias)

  def get_config(self) -> dict[str, Any]:
    return {
        **super().get_config(),
        'num_heads': self._num_heads,
        'mlp_dim': self._mlp_dim,
        'options': dataclasses.asdict(self._options),
        'stochastic_depth_rate': self._stochastic_depth_rate,
        'kernel_regularizer': tf_keras.regularizers.serialize(
            self._kernel_regularizer),
        'key_sizes': self._key_sizes,
    }


def run(layer: TransformerLayer, query: tf.Tensor,
        key_value: tf.Tensor | None = None, num_outputs: int | None = None,
        training: bool | None = None) -> tf.Tensor:
  """Runs a layer, whose backward pass computes it again if its options say so.

  Args:
    layer: the layer.
    query: as `TransformerLayer.call` takes it.
    key_value: likewise.
    num_outputs: likewise.
    training: likewise.

  Returns:
    What the layer returns.
  """
  def call(query, *key_value):
    return layer(
        query, *key_value, num_outputs=num_outputs, training=training)

  # The variables must exist before TensorFlow looks for them.
  if (layer.gradient_checkpointing and layer.built and
      not custom_gradients.is_inferring_shapes()):
    call = tf.recompute_grad(call)
  return call(query) if key_value is None else call(query, key_value)


def _build(layer: tf_keras.layers.Layer, shape: tf.TensorShape) -> None:
  """Makes the variables of a layer under its name, as calling it would."""
  with tf.name_scope(layer.name):
    layer.build(shape)


def _cast(value: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
  return tf.cast(tf.convert_to_tensor(value), dtype)
