"""The sizes of the models, by name.

The presets are Model Garden's VIT_SPECS (vit-ti16 to vit-e14) and one small
model of our own, for tests and for images of a few pixels.
"""

from __future__ import annotations

import dataclasses

from official.vision.modeling.backbones import vit_specs

from official_ext.configs import backbones
from official_ext.modeling import gelu
from official_ext.modeling import layout as layout_lib

# 0.3 M parameters: six layers of width 64, patches of 4 x 4 px.
_NANO = dict(
    hidden_size=64,
    patch_size=4,
    transformer=dict(mlp_dim=256, num_heads=4, num_layers=6),
)

PRESETS = {**vit_specs.VIT_SPECS, 'vit-nano4': _NANO}

POOLERS = ('token', 'gap', 'none')
POOLINGS = ('mean', 'max')


@dataclasses.dataclass(frozen=True)
class ModelSpec:
  """Everything that fixes the variables of a Funnel-ViT and what they compute.

  Attributes:
    model_name: the preset.
    layout: the layout as typed.
    blocks: the blocks, with nothing left open.
    patch_size: side of a patch, px.
    grid: patches of the image, (rows, columns).
    pooler: 'token', 'gap' or 'none'.
    pooling: 'mean' or 'max'.
    pool_axes: 'sequence' or 'grid'.
    pool_query_only: whether keys and values stay unpooled.
    representation_size: width of the pre-logits layer, 0 for none.
    has_layer_scale: whether the layers have LayerScale.
    activation: the MLP's GELU, a key of `gelu.BY_NAME`.
    norm_epsilon: added to the variance in every LayerNorm.
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

  @property
  def has_class_token(self) -> bool:
    return self.pooler == 'token'

  @property
  def layout_with_tokens(self) -> str:
    """The layout in the paper's notation, such as 'B6(197)-6(99)'."""
    return layout_lib.with_token_counts(self.layout, self.blocks)


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
    ValueError: if a name or a size does not fit, naming it and its mend.
  """
  if config.model_name not in PRESETS:
    raise ValueError(
        f'model_name is {config.model_name!r}, but must be one of '
        f'{", ".join(PRESETS)}.')
  preset = PRESETS[config.model_name]
  _check_choice('pooler', config.pooler, POOLERS)
  _check_choice('pooling', config.pooling, POOLINGS)
  _check_choice('transformer.activation', config.transformer.activation,
                tuple(gelu.BY_NAME))
  if not 0 < config.transformer.norm_epsilon < 1:
    raise ValueError(
        f'transformer.norm_epsilon is {config.transformer.norm_epsilon}, but '
        'must be above 0 and below 1, such as 1e-6.')
  for name in ('hidden_size', 'patch_size'):
    _check_positive(name, getattr(config, name))
  for name in ('mlp_dim', 'num_heads'):
    _check_positive(f'transformer.{name}', getattr(config.transformer, name))
  for name, rate in (
      ('transformer.dropout_rate', config.transformer.dropout_rate),
      ('transformer.attention_dropout_rate',
       config.transformer.attention_dropout_rate),
      ('init_stochastic_depth_rate', config.init_stochastic_depth_rate)):
    if not 0 <= rate < 1:
      raise ValueError(
          f'{name} is {rate}, but must be at least 0 and below 1.')
  patch_size = config.patch_size or preset['patch_size']
  transformer = preset['transformer']
  layout = layout_lib.parse(config.layout or f'B{transformer["num_layers"]}')
  grid = (image_size[0] // patch_size, image_size[1] // patch_size)
  blocks = layout_lib.resolve(
      layout,
      grid=grid,
      hidden_size=config.hidden_size or preset['hidden_size'],
      mlp_dim=config.transformer.mlp_dim or transformer['mlp_dim'],
      num_heads=config.transformer.num_heads or transformer['num_heads'],
      has_class_token=config.pooler == 'token',
      pool_axes=config.pool_axes)
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
      activation=config.transformer.activation,
      norm_epsilon=config.transformer.norm_epsilon)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
  if value not in choices:
    raise ValueError(
        f'{name} is {value!r}, but must be one of {", ".join(choices)}.')


def _check_positive(name: str, value: int | None) -> None:
  if value is not None and value < 1:
    raise ValueError(
        f'{name} is {value}, but must be at least 1, or null for the size of '
        'the preset.')
