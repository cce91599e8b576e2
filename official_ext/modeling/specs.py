"""The sizes of the models, by name.

The presets are Model Garden's VIT_SPECS (vit-ti16 to vit-e14) and one small
model of our own, for tests and for images of a few pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from official.modeling import hyperparams
from official.vision.configs import image_classification
from official.vision.modeling.backbones import vit_specs

from official_ext.command_line import errors
from official_ext.configs import backbones
from official_ext.modeling import feature_levels
from official_ext.modeling import gelu
from official_ext.modeling import layout as layout_lib

# 0.3 M parameters: six layers of width 64, patches of 4 x 4 px.
_NANO = dict(
    hidden_size=64,
    patch_size=4,
    transformer=dict(mlp_dim=256, num_heads=4, num_layers=6),
)

PRESETS = {**vit_specs.VIT_SPECS, 'vit-nano4': _NANO}

POOLERS = (
    'token', 'gap', 'none', 'map', 'token_and_distillation', 'token_and_mean')
# Those that read the class token.
TOKEN_POOLERS = ('token', 'token_and_distillation', 'token_and_mean')
# Poolings without variables, and those that learn some.
PLAIN_POOLINGS = ('mean', 'max')
LEARNED_POOLINGS = ('conv', 'weighted')
POOLINGS = (*PLAIN_POOLINGS, *LEARNED_POOLINGS)
ATTENTION_BIASES = ('none', 'proportional')
POSITION_EMBEDDINGS = ('learned', 'sin_cos')
FINAL_NORMS = ('tokens', 'pooled', 'none')


@dataclasses.dataclass(frozen=True)
class ModelSpec:
  """Everything that fixes the variables of a Funnel-ViT and what they compute.

  Attributes:
    model_name: the preset.
    layout: the layout as typed.
    blocks: the blocks, with nothing left open.
    patch_size: side of a patch, px.
    grid: patches of the image, (rows, columns).
    pooler: what the head reads, one of `POOLERS`.
    pooling: how tokens are merged between blocks, one of `POOLINGS`.
    pool_axes: 'sequence' or 'grid'.
    pool_query_only: whether keys and values stay unpooled.
    representation_size: width of the pre-logits layer, 0 for none.
    has_layer_scale: whether the layers have LayerScale.
    activation: the MLP's GELU, a key of `gelu.BY_NAME`.
    norm_epsilon: added to the variance in every LayerNorm.
    has_class_token: whether a class token comes first.
    class_token_position: whether the position embedding has a place for class
      token and distillation token.
    has_distillation_token: whether a distillation token follows it.
    num_registers: tokens between these and the patches, without a position.
    patch_bias: whether the embedding of the patches has a bias.
    norm_before_layers: whether a LayerNorm follows the position embedding.
    final_norm: what the last LayerNorm is applied to, one of `FINAL_NORMS`.
    projection_size: width of the projection without bias, 0 for none.
    attention_bias: what is added to the scores of attention, one of
      `ATTENTION_BIASES`.
    feature_maps: maps for decoders of dense outputs.
    position_embedding: whether positions are learned, one of
      `POSITION_EMBEDDINGS`.
  """
  model_name: str
  layout: layout_lib.Layout
  blocks: tuple[layout_lib.ResolvedBlock, ...]
  patch_size: int
  grid: tuple[int, int]
  pooler: str
  pooling: str
  pool_axes: str
  pool_query_only: bool
  representation_size: int
  has_layer_scale: bool
  activation: str
  norm_epsilon: float
  has_class_token: bool
  class_token_position: bool
  has_distillation_token: bool
  num_registers: int
  patch_bias: bool
  norm_before_layers: bool
  final_norm: str
  projection_size: int
  # What was saved before there was a choice says nothing of it.
  attention_bias: str = 'none'
  feature_maps: feature_levels.FeatureMapsSpec = feature_levels.NONE
  position_embedding: str = 'learned'

  @property
  def num_read_tokens(self) -> int:
    """How many tokens before the patches are made to be read."""
    return int(self.has_class_token) + int(self.has_distillation_token)

  @property
  def num_prefix_tokens(self) -> int:
    """How many tokens stand before the patches; they are never pooled."""
    return self.num_read_tokens + self.num_registers

  @property
  def num_prefix_positions(self) -> int:
    """How many places of the position embedding are of no patch."""
    return self.num_read_tokens if self.class_token_position else 0

  @property
  def num_features(self) -> int:
    """Width of what the pooler reads, before any layer after it."""
    tokens = 2 if self.pooler in (
        'token_and_distillation', 'token_and_mean') else 1
    return tokens * self.blocks[-1].hidden_size

  @property
  def has_learned_pools(self) -> bool:
    """Whether there are pools, and they have variables."""
    return len(self.blocks) > 1 and self.pooling in LEARNED_POOLINGS

  @property
  def recovers_tokens(self) -> bool:
    """Whether full-length tokens are recovered, for a feature map."""
    return feature_levels.has_full_length(self.feature_maps, self.patch_size)

  @property
  def layout_with_tokens(self) -> str:
    """The layout in the paper's notation, such as 'B6(197)-6(99)'."""
    return layout_lib.with_token_counts(self.layout, self.blocks)


def as_dict(spec: ModelSpec) -> dict[str, Any]:
  """Returns the sizes as values that JSON can hold."""
  return dataclasses.asdict(spec) | {'layout': str(spec.layout)}


def from_dict(values: Mapping[str, Any]) -> ModelSpec:
  """Returns the sizes that `as_dict` was given, from JSON too."""
  feature_maps = values.get('feature_maps', {})
  return ModelSpec(**values | {
      'layout': layout_lib.parse(values['layout']),
      'feature_maps': feature_levels.FeatureMapsSpec(**feature_maps | {
          'levels': tuple(feature_maps.get('levels', ()))}),
      'blocks': tuple(map(layout_lib.as_block, values['blocks'])),
      'grid': tuple(values['grid'])})


def of_model(
    model: image_classification.ImageClassificationModel) -> ModelSpec | None:
  """Works out the sizes of a classifier from its configuration.

  Args:
    model: the classifier's configuration.

  Returns:
    The sizes, or None if the backbone is one of Model Garden's own.

  Raises:
    ValueError: as `resolve` does.
  """
  if model.backbone.type != 'funnel_vit':
    return None
  return resolve(model.backbone.funnel_vit, tuple(model.input_size[:2]))


def count_classes(model: hyperparams.Config) -> int:
  """Returns the outputs of the head that is counted with a model's sizes.

  Args:
    model: a task's model.

  Returns:
    The classes of a classifier. 0 of another task's model, whose head is Model
    Garden's and no single layer.
  """
  return model.num_classes if isinstance(
      model, image_classification.ImageClassificationModel) else 0


def resolve(config: backbones.FunnelViT,
            image_size: tuple[int, int]) -> ModelSpec:
  """Works out a backbone's sizes from its configuration.

  A size that the configuration sets wins over the preset, and one that the
  layout sets wins over both.

  Args:
    config: the backbone's configuration; it is not changed.
    image_size: (height, width) of the input images, px.

  Returns:
    The sizes of the model.

  Raises:
    ValueError: if a name or a size does not fit, naming it and its fix.
  """
  _check(config)
  layers = config.transformer
  preset = PRESETS[config.model_name]
  preset_layers = preset['transformer']
  patch_size = config.patch_size or preset['patch_size']
  layout = layout_lib.parse(config.layout or f'B{preset_layers["num_layers"]}')
  grid = (image_size[0] // patch_size, image_size[1] // patch_size)
  blocks = layout_lib.resolve(
      layout,
      grid=grid,
      hidden_size=config.hidden_size or preset['hidden_size'],
      mlp_dim=layers.mlp_dim or preset_layers['mlp_dim'],
      num_heads=layers.num_heads or preset_layers['num_heads'],
      num_prefix_tokens=(
          int(has_class_token(config)) + int(config.distillation_token) +
          config.num_registers),
      pool_axes=config.pool_axes)
  width = blocks[0].hidden_size
  if config.position_embedding == 'sin_cos' and (width % 4 or width < 8):
    raise ValueError(
        'position_embedding is sin_cos, which takes a quarter of the channels '
        'for each of sine and cosine of row and column, but the hidden size '
        f'is {width}. Use a multiple of 4 from 8, or '
        'position_embedding=learned.')
  return ModelSpec(
      model_name=config.model_name,
      layout=layout,
      blocks=blocks,
      patch_size=patch_size,
      grid=grid,
      pooler=config.pooler,
      pooling=config.pooling,
      pool_axes=config.pool_axes,
      pool_query_only=config.pool_query_only,
      representation_size=config.representation_size,
      has_layer_scale=bool(config.layer_scale_init_value),
      activation=layers.activation,
      norm_epsilon=layers.norm_epsilon,
      has_class_token=has_class_token(config),
      class_token_position=config.class_token_position,
      has_distillation_token=config.distillation_token,
      num_registers=config.num_registers,
      patch_bias=config.patch_bias,
      norm_before_layers=config.norm_before_layers,
      final_norm=config.final_norm,
      projection_size=config.projection_size,
      attention_bias=config.attention_bias,
      feature_maps=feature_levels.resolve(
          config.feature_maps, layout, blocks, patch_size),
      position_embedding=config.position_embedding)


def kind(spec: ModelSpec) -> str:
  """Returns what a model is called by its sizes, whatever it was begun from.

  Args:
    spec: its sizes.

  Returns:
    The preset that has its widths, heads and patches; else its width.
  """
  block = spec.blocks[0]
  sizes = (block.hidden_size, block.mlp_dim, block.num_heads, spec.patch_size)
  for name in (spec.model_name, *PRESETS):
    preset = PRESETS[name]
    layers = preset['transformer']
    if sizes == (preset['hidden_size'], layers['mlp_dim'], layers['num_heads'],
                 preset['patch_size']):
      return name
  return f'of width {block.hidden_size}'


def has_class_token(config: backbones.FunnelViT) -> bool:
  """Says whether a backbone has a class token, as set or as its pooler needs.

  Args:
    config: the backbone's configuration.

  Returns:
    Whether it has one.
  """
  if config.class_token is None:
    return config.pooler in TOKEN_POOLERS
  return config.class_token


def check_patches(size: Sequence[int], patch_size: int, where: str,
                  instead: str = '.') -> None:
  """Refuses images that patches do not fill.

  The convolution that embeds patches leaves out what is over at the right and
  at the bottom, without a word.

  Args:
    size: (height, width) of the images, px.
    patch_size: side of a patch, px.
    where: the setting or flag of the size, for the message.
    instead: what else can be done, and the full stop.

  Raises:
    ValueError: naming the size, what would be lost and sizes that fit.
  """
  rest = [side % patch_size for side in size]
  if not any(rest):
    return
  fitting = [sorted({max(side - side % patch_size, patch_size),
                     side + -side % patch_size}) for side in size]
  shown = [' or '.join(map(str, sides)) for sides in fitting]
  order = '' if size[0] == size[1] else ' (height x width)'
  raise ValueError(
      f'{where} is {size[0]} x {size[1]} px{order}, which patches of '
      f'{patch_size} px do not fill: {rest[0]} px at the bottom and {rest[1]} '
      'px at the right of every image would be lost. Choose '
      f'{shown[0] if len(set(shown)) == 1 else " x ".join(shown)}{instead}')


def _check(config: backbones.FunnelViT) -> None:
  """Checks the settings that a layout does not depend on."""
  layers = config.transformer
  errors.check_choice('model_name', config.model_name, PRESETS)
  errors.check_choice('pooler', config.pooler, POOLERS)
  errors.check_choice('pooling', config.pooling, POOLINGS)
  errors.check_choice(
      'attention_bias', config.attention_bias, ATTENTION_BIASES)
  errors.check_choice('position_embedding', config.position_embedding,
                      POSITION_EMBEDDINGS)
  errors.check_choice('final_norm', config.final_norm, FINAL_NORMS)
  _check_pooler(config)
  errors.check_choice(
      'transformer.activation', layers.activation, gelu.BY_NAME)
  if not 0 < layers.norm_epsilon < 1:
    raise ValueError(
        f'transformer.norm_epsilon is {layers.norm_epsilon}, but must be above '
        '0 and below 1, such as 1e-6.')
  for name, size in (
      ('hidden_size', config.hidden_size),
      ('patch_size', config.patch_size),
      ('transformer.mlp_dim', layers.mlp_dim),
      ('transformer.num_heads', layers.num_heads)):
    if size is not None and size < 1:
      raise ValueError(
          f'{name} is {size}, but must be at least 1, or null for the size of '
          'the preset.')
  for name in ('num_registers', 'representation_size', 'projection_size'):
    if getattr(config, name) < 0:
      raise ValueError(
          f'{name} is {getattr(config, name)}, but must be at least 0, for '
          'none.')
  for name, rate in (
      ('transformer.dropout_rate', layers.dropout_rate),
      ('transformer.attention_dropout_rate', layers.attention_dropout_rate),
      ('init_stochastic_depth_rate', config.init_stochastic_depth_rate)):
    if not 0 <= rate < 1:
      raise ValueError(
          f'{name} is {rate}, but must be at least 0 and below 1.')


def _check_pooler(config: backbones.FunnelViT) -> None:
  """Checks that there is what the pooler reads and what follows it."""
  pooler = config.pooler
  if pooler in TOKEN_POOLERS and not has_class_token(config):
    raise ValueError(
        f'class_token is false, but pooler {pooler} reads the class token. '
        'Leave class_token out, or set pooler=gap.')
  if pooler == 'token_and_distillation' and not config.distillation_token:
    raise ValueError(
        'distillation_token is false, but pooler token_and_distillation reads '
        'it. Set distillation_token=true, or pooler=token.')
  if config.distillation_token and not has_class_token(config):
    raise ValueError(
        'distillation_token is true, but it follows a class token, and with '
        f'pooler {pooler} there is none. Set class_token=true, or '
        'distillation_token=false.')
  if pooler == 'none' and config.final_norm == 'pooled':
    raise ValueError(
        "final_norm is 'pooled', but pooler none pools nothing. Set "
        'final_norm=tokens, or another pooler.')
  if pooler == 'none' and config.projection_size:
    raise ValueError(
        f'projection_size is {config.projection_size}, but pooler none leaves '
        'no features to project. Set projection_size=0, or another pooler.')
  if config.projection_size and config.representation_size:
    raise ValueError(
        f'projection_size is {config.projection_size} and representation_size '
        f'{config.representation_size}, but only one layer comes before the '
        'head. Set one of them to 0.')
