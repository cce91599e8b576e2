"""Our models as timm's: an architecture with its arguments, and its names."""

from __future__ import annotations

from typing import Any

import numpy as np

from official_ext.command_line import errors
from official_ext.modeling import specs
from official_ext.pretrained import architecture
from official_ext.pretrained import key_map
from official_ext.pretrained import timm_models
from official_ext.pretrained import torch_names

_ACTIVATIONS = {'gelu_erf': 'gelu', 'gelu_tanh': 'gelu_tanh',
                'gelu_quick': 'quick_gelu'}
_POOLERS = {'token': 'token', 'gap': 'avg', 'map': 'map',
            'token_and_distillation': 'token'}
# timm takes the epsilon from the architecture alone.
_BY_EPSILON = {1e-6: 'vit_base_patch16_224',
               1e-5: 'vit_base_patch16_clip_224'}
_DISTILLED = 'deit_base_distilled_patch16_224'


def convert(model: architecture.Architecture
            ) -> tuple[list[key_map.Entry], dict[str, dict[str, Any]],
                       dict[str, np.ndarray]]:
  """Says what a model is at timm's.

  Args:
    model: of ours; without classes its head is left out.

  Returns:
    Where each variable goes; the JSON files to write, by name; and no tensors
    beside.

  Raises:
    errors.UserError: if timm has no such model, naming the setting.
  """
  settings, layers = model.backbone, model.backbone.transformer
  name = _architecture(model)
  height, width = model.image_size
  arguments = {
      'img_size': [height, width], 'patch_size': settings.patch_size,
      'embed_dim': settings.hidden_size, 'depth': model.num_layers,
      'num_heads': layers.num_heads,
      'mlp_ratio': layers.mlp_dim / settings.hidden_size,
      'act_layer': _ACTIVATIONS[layers.activation],
      'global_pool': _POOLERS[settings.pooler],
      'class_token': specs.has_class_token(settings),
      'no_embed_class': not _has_prefix_positions(settings),
      'reg_tokens': settings.num_registers,
      'pre_norm': settings.norm_before_layers,
      'final_norm': settings.final_norm != 'none',
      'fc_norm': settings.final_norm == 'pooled',
      'init_values': settings.layer_scale_init_value or None,
      'num_classes': model.num_classes}
  images = model.preprocessing
  config = {
      'architecture': name, 'num_classes': model.num_classes,
      'num_features': settings.hidden_size,
      'global_pool': arguments['global_pool'], 'model_args': arguments,
      'pretrained_cfg': {
          'input_size': [3, height, width], 'fixed_input_size': True,
          'interpolation': next(
              name for name, ours in timm_models.RESIZE_METHODS.items()
              if ours == images.resize_method),
          'crop_pct': images.crop_fraction,
          'crop_mode': 'squash' if images.squashes else 'center',
          'mean': list(images.mean), 'std': list(images.stddev),
          'num_classes': model.num_classes,
          'first_conv': 'patch_embed.proj', 'classifier': (
              ['head', 'head_dist'] if settings.distillation_token
              else 'head')}}
  if model.class_names:
    config['pretrained_cfg']['label_names'] = list(model.class_names)
  if model.license:
    config['pretrained_cfg']['license'] = model.license
  return (torch_names.entries(timm_models.NAMING, model),
          {'config.json': config}, {})


def _architecture(model: architecture.Architecture) -> str:
  """Returns the architecture to name, or refuses what timm does not have."""
  settings = model.backbone
  if settings.pooler not in _POOLERS:
    raise errors.UserError(
        f'timm has no pooler {settings.pooler!r}.')
  for name in ('representation_size', 'projection_size'):
    if getattr(settings, name):
      raise errors.UserError(
          f'timm has no layer between pooling and head, and {name} is '
          f'{getattr(settings, name)}.')
  if settings.patch_bias == settings.norm_before_layers:
    raise errors.UserError(
        'timm has a bias of the patches where norm_before_layers is false, and '
        f'none where it is true; here patch_bias is {settings.patch_bias} and '
        f'norm_before_layers {settings.norm_before_layers}.')
  epsilon = settings.transformer.norm_epsilon
  known = _BY_EPSILON if not settings.distillation_token else {1e-6: _DISTILLED}
  if epsilon not in known:
    raise errors.UserError(
        f'timm has LayerNorms with an epsilon of '
        f'{" or ".join(f"{one:g}" for one in known)}, and norm_epsilon is '
        f'{epsilon:g}.')
  if settings.num_registers and _has_prefix_positions(settings):
    raise errors.UserError(
        'timm gives registers positions where the class token has one '
        '(class_token_position is true).')
  return known[epsilon]


def _has_prefix_positions(settings) -> bool:
  """Whether there is a class token with a position."""
  return settings.class_token_position and specs.has_class_token(settings)
