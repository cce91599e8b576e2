"""Configuration of the backbone `funnel_vit`, beside Model Garden's own.

A size of None means "the preset's"; any other value wins over the preset.
"""

import dataclasses

from official.modeling import hyperparams
from official.vision.configs import backbones


@dataclasses.dataclass
class FunnelTransformer(hyperparams.Config):
  """The transformer layers; their number is the layout's.

  Attributes:
    mlp_dim: width of the MLP's inner layer.
    num_heads: attention heads.
    attention_dropout_rate: dropout of the attention weights.
    dropout_rate: dropout of the embeddings and of each layer's two outputs.
    activation: the MLP's GELU: 'gelu_tanh', which Model Garden and JAX's ViT
      take, 'gelu_erf' or 'gelu_quick'.
    norm_epsilon: added to the variance in every LayerNorm.
  """
  mlp_dim: int | None = None
  num_heads: int | None = None
  attention_dropout_rate: float = 0.0
  dropout_rate: float = 0.0
  activation: str = 'gelu_tanh'
  norm_epsilon: float = 1e-6


@dataclasses.dataclass
class FastPath(hyperparams.Config):
  """How the model is computed; the result is the same up to rounding.

  Attributes:
    fused_layers: query, key and value from one matrix product; LayerNorm and
      GELU rematerialised in the backward pass instead of saved.
    class_token_only: the last layer computes the class token alone, where the
      pooler is 'token'.
    float32_matmuls: under mixed bfloat16, layers multiply and sum in float32
      and round the result. None: where TensorFlow has nothing but a CPU, one
      without a matrix unit for bfloat16 (AMX).
    attention: 'fused' computes attention in one kernel of cuDNN's, in steps
      that XLA compiles for an NVIDIA GPU, and is an error where it cannot;
      'auto' does so where it can; 'plain' never does.
  """
  fused_layers: bool = True
  class_token_only: bool = True
  float32_matmuls: bool | None = None
  attention: str = 'auto'


@dataclasses.dataclass
class FeatureMaps(hyperparams.Config):
  """Maps of features for decoders, beside what a classifier reads.

  A step in a map of level l is 2^l px of the image; the maps are endpoints
  under their levels, as Model Garden's decoders take them.

  Attributes:
    levels: which there are, such as [4] or [2, 3, 4, 5]; an empty list: none,
      and nothing is computed for them.
    source: 'blocks': at the level of the patches the recovered tokens, and
      above it the tokens of the block that has this level; 'pyramid': every
      level from the recovered tokens, by a simple feature pyramid (ViTDet,
      arXiv 2203.16527).
    recovery_layers: transformer layers after the tokens of the last block are
      repeated over the patches that they stand for and added to those of the
      first block (paper, section 3.2).
    pyramid_filters: channels of the maps of a pyramid.
  """
  levels: list[int] = dataclasses.field(default_factory=list)
  source: str = 'blocks'
  recovery_layers: int = 2
  pyramid_filters: int = 256


@dataclasses.dataclass
class FunnelViT(hyperparams.Config):
  """Funnel-ViT (paper, section 3.2). With one block it is Model Garden's ViT.

  Attributes:
    model_name: a preset of `official_ext.modeling.specs.PRESETS`.
    layout: blocks in the paper's notation, such as 'B6(197)-6(99)'; None is
      one block of the preset's depth.
    pooling: how patch tokens are merged between blocks: 'mean' or 'max';
      'conv', a depth-wise convolution, or 'weighted', a mean with learned
      weights, which begin as the mean.
    pool_axes: 'sequence' pools along the row-major sequence, as the paper
      does; 'grid' pools rectangles of patches.
    pool_query_only: whether the first layer after a pool takes its keys and
      values from the unpooled tokens.
    position_embedding: 'learned', or 'sin_cos': fixed sines and cosines of the
      place of a patch in the grid (MoCo v3, arXiv 2104.02057; arXiv
      2205.01580).
    attention_bias: 'proportional': a key counts in attention as many times as
      it stands for patches (ToMe, arXiv 2210.09461); 'none': once.
    pooler: what the head reads: 'token' the class token, 'gap' the mean of the
      patch tokens, 'map' an attention-pooling head (SigLIP, arXiv 2303.15343),
      'token_and_distillation' both tokens side by side (DeiT, arXiv
      2012.12877), 'token_and_mean' the class token beside the mean of the patch
      tokens (DINOv2, arXiv 2304.07193), 'none' the tokens themselves.
    representation_size: width of the tanh layer before the head, 0 for none.
    projection_size: width of a layer before the head without bias and without
      tanh (CLIP, arXiv 2103.00020), 0 for none.
    hidden_size: width of the hidden states.
    patch_size: side of a patch, px.
    transformer: sizes and dropout of the layers.
    init_stochastic_depth_rate: drop rate of the last layer's residual
      branches; the others grow linearly up to it.
    layer_scale_init_value: initial LayerScale (arXiv 2103.17239), 0 for none.
    original_init: ViT's initialisers, or else truncated normal (DeiT).
    fast_path: how the model is computed.
    crop_to_patches: whether images are taken whose sides are no multiples of
      the patch size, without the rest at their right and bottom edge; the model
      is the same.
    gradient_checkpointing: whether training saves only the inputs of every
      layer and computes the layer again in the backward pass: less memory,
      more time.
    class_token: whether a class token comes first; None is as the pooler needs
      it.
    class_token_position: whether the position embedding has a place for the
      class token and the distillation token; or else for the patches alone, as
      in big_vision.
    distillation_token: whether a second token follows the class token (DeiT).
    num_registers: tokens before the patches that nobody reads, without a
      position (arXiv 2309.16588).
    patch_bias: whether the embedding of the patches has a bias.
    norm_before_layers: whether a LayerNorm follows the position embedding
      (CLIP).
    final_norm: what the last LayerNorm is applied to: the 'tokens', or, after
      pooling, what the head reads, 'pooled' (MAE, arXiv 2111.06377, in
      fine-tuning); 'none': there is none.
    feature_maps: what decoders of dense outputs read.
  """
  model_name: str = 'vit-b16'
  layout: str | None = None
  pooling: str = 'mean'
  pool_axes: str = 'sequence'
  pool_query_only: bool = True
  position_embedding: str = 'learned'
  attention_bias: str = 'none'
  pooler: str = 'token'
  representation_size: int = 0
  projection_size: int = 0
  hidden_size: int | None = None
  patch_size: int | None = None
  transformer: FunnelTransformer = dataclasses.field(
      default_factory=FunnelTransformer)
  init_stochastic_depth_rate: float = 0.0
  layer_scale_init_value: float = 0.0
  original_init: bool = True
  fast_path: FastPath = dataclasses.field(default_factory=FastPath)
  crop_to_patches: bool = False
  gradient_checkpointing: bool = False
  class_token: bool | None = None
  class_token_position: bool = True
  distillation_token: bool = False
  num_registers: int = 0
  patch_bias: bool = True
  norm_before_layers: bool = False
  final_norm: str = 'tokens'
  feature_maps: FeatureMaps = dataclasses.field(default_factory=FeatureMaps)


@dataclasses.dataclass
class Backbone(backbones.Backbone):
  """Model Garden's choice of backbones and `funnel_vit`."""
  type: str | None = 'funnel_vit'
  funnel_vit: FunnelViT = dataclasses.field(default_factory=FunnelViT)
