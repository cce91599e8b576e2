"""Model Garden's transformer layer, with a faster way through it.

The layer's variables and their checkpoint keys are Model Garden's; only the
operations between them differ. `fused=False` is Model Garden's own `call`.

Legend: B batch, N heads, T query tokens, S key tokens, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
from typing import Any

from official.modeling import activations
from official.vision.modeling.layers import nn_blocks
import tensorflow as tf
import tf_keras

from official_ext.modeling import fused_ops


@tf_keras.utils.register_keras_serializable(package='funnel_vit')
class TransformerLayer(nn_blocks.TransformerEncoderBlock):
  """A pre-norm transformer layer with the tanh approximation of GELU.

  Call with tokens [B, T, D], or with `[query, key_value, None]` of [B, T, D]
  and [B, S, D]; returns [B, T, D].
  """

  def __init__(self, *args, fused: bool = True, bfloat16_gelu: bool = False,
               float32_products: bool = False, **kwargs):
    """Initialises the layer.

    Args:
      *args: of Model Garden's layer.
      fused: whether query, key and value come from one matrix product, and
        LayerNorm and GELU are computed again in the backward pass.
      bfloat16_gelu: whether the fused GELU is computed in bfloat16 where the
        layer is; else in float32, as in Model Garden's layer.
      float32_products: whether the matrix products of a fused bfloat16 layer
        are computed in float32 and rounded.
      **kwargs: of Model Garden's layer, `norm_first=True` among them.

    Raises:
      ValueError: if `fused` and a setting asks for what the fused way lacks.
    """
    super().__init__(*args, **kwargs)
    if fused and not (
        self._norm_first and self._use_bias and self._use_query_residual and
        self._inner_activation is activations.gelu and
        not self._inner_dropout and not self._return_attention_scores):
      raise ValueError(
          'the fused layer is pre-norm with biases, query residual and '
          "Model Garden's `activations.gelu`, without inner dropout and "
          'attention scores. Set fused=False for anything else.')
    self._fused = fused
    self._bfloat16_gelu = bfloat16_gelu
    self._float32_products = float32_products
    self._multiply = (
        fused_ops.multiply_in_float32
        if float32_products and self.compute_dtype == 'bfloat16'
        else tf.matmul)

  def build(self, input_shape: tf.TensorShape | Sequence[tf.TensorShape]):
    super().build(input_shape)
    if not self._fused:
      return
    # Model Garden's layer makes these variables when it is first called, by
    # its sublayers, which the fused way does not call.
    shape = tf.TensorShape(
        input_shape[0] if isinstance(input_shape, (list, tuple))
        else input_shape)
    hidden_size = shape[-1]
    attention = self._attention_layer
    # pylint: disable=protected-access
    with tf.name_scope(attention.name):
      attention._build_from_signature(query=shape, value=shape)
      for dense in (attention._query_dense, attention._key_dense,
                    attention._value_dense):
        _build(dense, shape)
      _build(attention._output_dense, tf.TensorShape(
          [None, None, self._num_heads, self._key_dim]))
    # pylint: enable=protected-access
    attention.built = True
    for layer, size in ((self._attention_layer_norm, hidden_size),
                        (self._output_layer_norm, hidden_size),
                        (self._intermediate_dense, hidden_size),
                        (self._output_dense, self._inner_dim)):
      _build(layer, tf.TensorShape([None, None, size]))

  def call(self, inputs: tf.Tensor | Sequence[tf.Tensor | None],
           output_range: int | None = None,
           training: bool | None = None) -> tf.Tensor:
    """Runs the layer.

    Args:
      inputs: [B, T, D], or `[query, key_value, None]`.
      output_range: how many of the query tokens to compute, from the first;
        None for all.
      training: whether dropout acts.

    Returns:
      [B, T, D], or [B, output_range, D].
    """
    if not self._fused:
      return super().call(inputs, output_range=output_range, training=training)
    key_value = None
    if isinstance(inputs, (list, tuple)):
      inputs, key_value, _ = inputs
    query = inputs
    if output_range and output_range < inputs.shape[1]:
      key_value = inputs if key_value is None else key_value
      query = inputs[:, :output_range]
    return self._think(self._attend(query, key_value, training), training)

  def attention_scores(self, query: tf.Tensor,
                       key_value: tf.Tensor | None = None) -> tf.Tensor:
    """What each query token takes from each key token, without dropout.

    Args:
      query: [B, T, D], as `call` takes it.
      key_value: [B, S, D]; None: the query tokens.

    Returns:
      Attention weights of every head, [B, N, T, S]; rows sum to one.

    Raises:
      ValueError: if the layer has no variables yet, or is not pre-norm.
    """
    if not (self.built and self._attention_layer.built):
      raise ValueError(
          f'{self.name} has no variables yet. Call it before asking for its '
          'attention.')
    if not self._norm_first:
      raise ValueError(
          f'{self.name} normalises after its attention, and attention_scores '
          'is of layers that do so before. Set norm_first=True.')
    query = self._attention_layer_norm(query)
    key_value = (query if key_value is None
                 else self._attention_layer_norm(key_value))
    _, scores = self._attention_layer(
        query=query, value=key_value, return_attention_scores=True,
        training=False)
    return scores

  def _attend(self, query: tf.Tensor, key_value: tf.Tensor | None,
              training: bool | None) -> tf.Tensor:
    """Attention and residual: [B, T, D] and [B, S, D] to [B, T, D]."""
    # pylint: disable=protected-access
    attention = self._attention_layer
    projections = [attention._query_dense, attention._key_dense,
                   attention._value_dense]
    if key_value is None:
      heads, query = self._project(query, projections, training)
    else:
      heads, query = self._project(query, projections[:1], training)
      heads += self._project(key_value, projections[1:], training)[0]
    context = fused_ops.attend(*heads, drop=functools.partial(
        attention._dropout_layer, training=training),
        multiply=self._multiply)  # [B, N, T, H]
    dense = attention._output_dense
    # pylint: enable=protected-access
    rows = fused_ops.join_heads(context)  # [B * T, D]
    kernel = tf.reshape(dense.kernel, [rows.shape[-1], -1])
    outputs = fused_ops.dense(
        rows, _cast(kernel, rows.dtype), _cast(dense.bias, rows.dtype),
        self._multiply)
    outputs = tf.reshape(outputs, [-1, *query.shape[1:]])
    outputs = self._attention_dropout(outputs, training=training)
    outputs = self._layer_scale_attn(outputs)
    return query + self._stochastic_depth(outputs, training=training)

  def _project(self, tokens: tf.Tensor,
               projections: Sequence[tf_keras.layers.Layer],
               training: bool | None) -> tuple[list[tf.Tensor], tf.Tensor]:
    """LayerNorm and some projections: [B, T, D] to as many [B, N, T, H].

    Args:
      tokens: [B, T, D].
      projections: dense layers to the heads.
      training: whether the weights are joined, so that one matrix product
        serves all projections. Joining them for every request would cost a
        server more than it gains.

    Returns:
      What each projects to, and the tokens for the residual.
    """
    num_tokens, hidden_size = tokens.shape[1:]
    # [D, N, H] -> [D, N * H]
    kernels = [tf.reshape(dense.kernel, [hidden_size, -1])
               for dense in projections]
    biases = [tf.reshape(dense.bias, [-1]) for dense in projections]
    norm = self._attention_layer_norm
    rows = tf.reshape(tokens, [-1, hidden_size])
    split_heads = functools.partial(
        fused_ops.split_heads, num_tokens=num_tokens,
        num_heads=self._num_heads)
    if training is None or training is False:
      rows = fused_ops.layer_norm(rows, norm.gamma, norm.beta, norm.epsilon)
      heads = [
          split_heads(fused_ops.dense(
              rows, _cast(kernel, rows.dtype), _cast(bias, rows.dtype),
              self._multiply), num_parts=1)[0]
          for kernel, bias in zip(kernels, biases, strict=True)]
      return heads, tokens
    projected, rows = fused_ops.normalized_dense(
        rows, norm.gamma, norm.beta,
        _cast(tf.concat(kernels, axis=1), rows.dtype),
        _cast(tf.concat(biases, axis=0), rows.dtype), norm.epsilon,
        self._multiply)
    heads = split_heads(projected, num_parts=len(projections))
    return heads, tf.reshape(rows, [-1, num_tokens, hidden_size])

  def _think(self, tokens: tf.Tensor, training: bool | None) -> tf.Tensor:
    """MLP and residual: [B, T, D] to [B, T, D]."""
    rows = tf.reshape(tokens, [-1, tokens.shape[-1]])
    dtype = rows.dtype
    norm, first, second = (
        self._output_layer_norm, self._intermediate_dense, self._output_dense)
    inner, rows = fused_ops.normalized_dense(
        rows, norm.gamma, norm.beta, _cast(first.kernel, dtype),
        _cast(first.bias, dtype), norm.epsilon, self._multiply)  # [B * T, M]
    outputs = fused_ops.gelu_dense(
        inner, _cast(second.kernel, dtype), _cast(second.bias, dtype),
        dtype if self._bfloat16_gelu else tf.float32, self._multiply)
    outputs = tf.reshape(outputs, [-1, *tokens.shape[1:]])
    outputs = self._output_dropout(outputs, training=training)
    outputs = self._layer_scale_mlp(outputs)
    outputs = self._stochastic_depth(outputs, training=training)
    return tf.reshape(rows, [-1, *tokens.shape[1:]]) + outputs

  def get_config(self) -> dict[str, Any]:
    return {
        **super().get_config(),
        'fused': self._fused,
        'bfloat16_gelu': self._bfloat16_gelu,
        'float32_products': self._float32_products,
    }


def _build(layer: tf_keras.layers.Layer, shape: tf.TensorShape) -> None:
  """Makes the variables of a layer under its name, as calling it would."""
  with tf.name_scope(layer.name):
    layer.build(shape)


def _cast(value: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
  return tf.cast(tf.convert_to_tensor(value), dtype)
