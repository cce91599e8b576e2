"""The options of a funnel encoder, in one frozen object.

It travels from the backbone's configuration to every layer, so that a new
option is a field here and a line where it acts.
"""

from __future__ import annotations

import dataclasses

from official_ext.command_line import errors
from official_ext.modeling import gelu
from official_ext.modeling import specs

# Fused: by one kernel that never writes the attention weights, an error where
# there is none; auto: where there is one.
ATTENTION_KINDS = ('auto', 'fused', 'plain')


@dataclasses.dataclass(frozen=True)
class EncoderOptions:
  """How a funnel encoder computes, beside the sizes of its blocks.

  Attributes:
    pooling: one of `specs.POOLINGS`.
    pool_query_only: whether the first layer after a pool takes its keys and
      values from the unpooled tokens.
    attention_bias: 'proportional' where the number of patches that a key stands
      for counts in attention, or 'none'.
    has_class_token: whether the first token is a class token.
    has_distillation_token: whether a distillation token follows it.
    num_registers: tokens after these that the encoder adds; they have no
      position.
    class_token_position: whether the position embedding has a place for class
      token and distillation token.
    norm_before_layers: whether a LayerNorm follows the position embedding.
    has_final_norm: whether the last thing is a LayerNorm of all tokens.
    dropout_rate: dropout of the embeddings and of each layer's two outputs.
    attention_dropout_rate: dropout of the attention weights.
    init_stochastic_depth_rate: drop rate of the last layer's residual
      branches; the others grow linearly up to it.
    layer_scale_init_value: initial LayerScale, 0 for none.
    activation: the GELU of the MLPs, a key of `gelu.BY_NAME`.
    norm_epsilon: added to the variance in every LayerNorm.
    original_init: ViT's initialisers, or else truncated normal (DeiT).
    class_token_only: whether the last layer computes the class token alone,
      from all tokens; the encoder then returns [B, 1, D].
    fused_layers: whether query, key and value come from one matrix product,
      and LayerNorm and GELU are rematerialised; the result is the same up to
      rounding.
    float32_matmuls: whether the matrix products of bfloat16 layers are
      computed in float32 and rounded.
    attention: how attention is computed, one of `ATTENTION_KINDS`.
    gradient_checkpointing: whether only the inputs of every layer are saved,
      and the layer is computed again in the backward pass.

  Raises:
    ValueError: if two options exclude each other, or a name is unknown.
  """
  pooling: str = 'mean'
  pool_query_only: bool = True
  attention_bias: str = 'none'
  has_class_token: bool = True
  has_distillation_token: bool = False
  num_registers: int = 0
  class_token_position: bool = True
  norm_before_layers: bool = False
  has_final_norm: bool = True
  dropout_rate: float = 0.0
  attention_dropout_rate: float = 0.0
  init_stochastic_depth_rate: float = 0.0
  layer_scale_init_value: float = 0.0
  activation: str = 'gelu_tanh'
  # As in Model Garden's ViT, to agree with the JAX implementation.
  norm_epsilon: float = 1e-6
  original_init: bool = True
  class_token_only: bool = False
  fused_layers: bool = True
  float32_matmuls: bool = False
  attention: str = 'auto'
  gradient_checkpointing: bool = False

  def __post_init__(self):
    errors.check_choice('pooling', self.pooling, specs.POOLINGS)
    errors.check_choice(
        'attention_bias', self.attention_bias, specs.ATTENTION_BIASES)
    errors.check_choice('activation', self.activation, gelu.BY_NAME)
    errors.check_choice('attention', self.attention, ATTENTION_KINDS)
    if self.class_token_only and not self.has_class_token:
      raise ValueError(
          'class_token_only needs a class token: has_class_token is False.')
    if self.gradient_checkpointing and (
        self.dropout_rate or self.attention_dropout_rate or
        self.init_stochastic_depth_rate):
      raise ValueError(
          'gradient_checkpointing would drop other values the second time. Set '
          'dropout_rate, attention_dropout_rate and init_stochastic_depth_rate '
          'to 0, or gradient_checkpointing to false.')

  @property
  def num_read_tokens(self) -> int:
    """How many tokens before the patches are made to be read."""
    return int(self.has_class_token) + int(self.has_distillation_token)

  @property
  def num_prefix_tokens(self) -> int:
    """How many tokens stand before the patches; they are never pooled."""
    return self.num_read_tokens + self.num_registers

  @property
  def kernel_initializer(self) -> str | dict:
    """The initialiser of the kernels of layers, as Keras takes it."""
    if self.original_init:
      return 'glorot_uniform'
    return dict(class_name='TruncatedNormal', config=dict(stddev=0.02))
