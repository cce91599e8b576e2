"""timm's models: config.json and tensors, in the settings of ours.

timm's config names an architecture, and what that is, timm's code knows: heads,
GELU and epsilon are in `timm_architectures.tsv`, which
`scripts/list_timm_architectures.py` reads off it. Everything else the tensors
show.
"""

from __future__ import annotations

from collections.abc import Mapping
import difflib
import functools
import math
import pathlib
from typing import Any

from official_ext.command_line import errors
from official_ext.pretrained import architecture
from official_ext.pretrained import arrays
from official_ext.pretrained import config_settings
from official_ext.pretrained import hugging_face
from official_ext.pretrained import key_map
from official_ext.pretrained import model_card
from official_ext.pretrained import torch_names

_TABLE = pathlib.Path(__file__).with_name('timm_architectures.tsv')
_POOLERS = {'token': 'token', 'avg': 'gap', 'map': 'map'}
_ACTIVATIONS = {'gelu': 'gelu_erf', 'gelu_tanh': 'gelu_tanh',
                'quick_gelu': 'gelu_quick'}
RESIZE_METHODS = {
    'bilinear': 'bilinear', 'bicubic': 'bicubic', 'lanczos': 'lanczos3'}
# Of `model_args`: what the tensors show.
_SHOWN_BY_TENSORS = frozenset({
    'img_size', 'patch_size', 'num_classes', 'embed_dim', 'depth', 'mlp_ratio',
    'init_values', 'class_token', 'no_embed_class', 'reg_tokens', 'pre_norm',
    'fc_norm', 'final_norm', 'dynamic_img_size', 'drop_rate', 'drop_path_rate',
    'pos_drop_rate', 'patch_drop_rate', 'proj_drop_rate', 'attn_drop_rate',
    'weight_init', 'fix_init', 'in_chans', 'distilled'})
_FOREIGN_TENSORS = {
    r'(^|\.)rope': 'its positions are rotary (RoPE)',
    r'rel_pos|relative_position': 'its positions are relative',
    r'mlp\.(w12|w1|fc1_g|gate)': 'its MLP is gated (SwiGLU)',
    r'attn\.(q_bias|k_bias)': 'its keys have no bias',
    r'(q|k)_norm': 'its queries and keys are normalised',
    r'^patch_embed\.backbone|^patch_embed\.norm': (
        'its patches are embedded by more than a convolution'),
    r'attn\.norm|mlp\.norm': 'its layers have norms of their own',
}

NAMING = torch_names.Naming(
    parts={
        'embedding': 'patch_embed.proj',
        'class_token': 'cls_token',
        'distillation_token': 'dist_token',
        'registers': 'reg_token',
        'position_embedding': 'pos_embed',
        'norm_before_layers': 'norm_pre',
        'norm': 'norm',
        'pooled_norm': 'fc_norm',
        'pre_logits': 'pre_logits.fc',
        'head': 'head',
        'head_of_class_token': 'head',
        'head_of_distillation_token': 'head_dist',
        'map_head/probe': 'attn_pool.latent',
        'map_head/attention/query': 'attn_pool.q',
        'map_head/attention/key+value': 'attn_pool.kv',
        'map_head/attention/output': 'attn_pool.proj',
        'map_head/norm': 'attn_pool.norm',
        'map_head/mlp/dense_0': 'attn_pool.mlp.fc1',
        'map_head/mlp/dense_1': 'attn_pool.mlp.fc2',
    },
    layers='blocks.{}.',
    of_layer={
        'attention_norm': 'norm1',
        'attention/query+key+value': 'attn.qkv',
        'attention/output': 'attn.proj',
        'attention_scale': 'ls1.gamma',
        'mlp_norm': 'norm2',
        'mlp/dense_0': 'mlp.fc1',
        'mlp/dense_1': 'mlp.fc2',
        'mlp_scale': 'ls2.gamma',
    })


def read(found: arrays.Arrays, config_path: str, config: Mapping[str, Any],
         license_name: str = ''
         ) -> tuple[architecture.Architecture, list[key_map.Entry],
                    dict[str, str]]:
  """Says what a model of timm is, and where its variables are.

  Args:
    found: its tensors.
    config_path: of config.json, for messages.
    config: what that file holds, with an `architecture`.
    license_name: what the authors say of its license beside the config.

  Returns:
    The architecture; where each variable is; and why tensors are left out, by
    name.

  Raises:
    errors.UserError: if it is no model that ours can be, or config and weights
      do not agree.
  """
  hugging_face.refuse_foreign(found, _FOREIGN_TENSORS)
  outer = config_settings.ConfigSettings(config_path, config)
  images = outer.part('pretrained_cfg', dict(
      crop_pct=0.875, crop_mode='center', interpolation='bicubic'))
  found.check_bias('head')
  stored = {name: value.shape for name, value in found.stored.items()}
  kernel = stored.get('patch_embed.proj.weight', ())
  dense = stored.get('blocks.0.mlp.fc1.weight', ())
  position = stored.get('pos_embed', ())
  if len(kernel) != 4 or len(dense) != 2 or len(position) != 3 or (
      kernel[1] != 3 or kernel[2] != kernel[3] or not kernel[2]):
    raise errors.UserError(
        f'{found.path} holds no Vision Transformer of square RGB patches: '
        f'patch_embed.proj.weight is {kernel or "missing"}, '
        f'blocks.0.mlp.fc1.weight {dense or "missing"} and pos_embed '
        f'{position or "missing"}. Take another model.')
  model = architecture.Architecture(
      kind=f'timm {outer.text("architecture")}',
      backbone=_backbone(found, outer, stored),
      image_size=_image_size(outer),
      num_classes=stored.get('head.bias', (0,))[0],
      preprocessing=_preprocessing(images),
      class_names=_class_names(outer, stored.get('head.bias', (0,))[0]),
      license=model_card.license_text(images.get('license')) or license_name)
  if outer.get('num_classes') is not None:
    outer.agrees('num_classes', outer.integer('num_classes', 0),
                 model.num_classes)
  _check_arguments(outer, model, kernel[1])
  if outer.get('num_features') is not None:
    outer.agrees('num_features', outer.integer('num_features'), kernel[0])
  return model, torch_names.entries(NAMING, model), {}


@functools.cache
def architectures() -> dict[str, dict[str, str]]:
  """Returns the columns of `timm_architectures.tsv` by architecture."""
  header, *lines = (
      line.split('\t') for line in
      _TABLE.read_text(encoding='utf-8').splitlines())
  return {line[0]: dict(zip(header, line)) for line in lines}


def _backbone(found: arrays.Arrays, config: config_settings.ConfigSettings,
              stored: Mapping[str, tuple[int, ...]]):
  """Returns the settings of our backbone."""
  name = config.text('architecture')
  known = architectures().get(name)
  if known is None:
    close = difflib.get_close_matches(name, architectures(), n=2)
    raise errors.UserError(
        f'{config.path}: architecture {name!r} is no Vision Transformer of '
        'timm that is known' + (
            f'; the nearest are {", ".join(close)}' if close else '') +
        '. Take another model.')
  if known['refused']:
    raise errors.UserError(
        f'{config.path}: {name} cannot become a Funnel-ViT: '
        f'{known["refused"]}. Take another model.')
  arguments = config.part('model_args', {
      'num_heads': int(known['num_heads'])})
  activation = known['activation']
  for setting, value in arguments.values.items():
    if setting == 'act_layer' and value in _ACTIVATIONS:
      activation = _ACTIVATIONS[value]
    elif setting not in _SHOWN_BY_TENSORS | {'num_heads', 'global_pool'}:
      raise errors.UserError(
          f'{config.path}: model_args sets {setting}={value!r}, which is not '
          'known here. Take a model without it.')
  hidden_size = stored['patch_embed.proj.weight'][0]
  num_heads = arguments.integer('num_heads')
  if hidden_size % num_heads:
    raise errors.UserError(
        f'{config.path}: {name} has {num_heads} heads, which do not divide the '
        f'width {hidden_size} of the weights beside it. Get config and weights '
        'of one model.')
  pooling = arguments.get('global_pool') or config.get('global_pool')
  if pooling is None:
    pooling = 'map' if 'attn_pool.latent' in stored else (
        'avg' if 'fc_norm.weight' in stored or 'cls_token' not in stored
        else 'token')
  if pooling not in _POOLERS:
    raise errors.UserError(
        f'{config.path}: global_pool is {pooling!r}, but only '
        f'{", ".join(_POOLERS)} are taken. Take another model.')
  registers = stored.get('reg_token', (1, 0, 0))[1]
  has_class_token = 'cls_token' in stored
  is_distilled = 'dist_token' in stored
  prefix = _num_prefix_positions(found, stored, config)
  return architecture.backbone(
      hidden_size=hidden_size,
      num_layers=torch_names.count_layers(stored, NAMING.layers),
      num_heads=num_heads,
      mlp_dim=stored['blocks.0.mlp.fc1.weight'][0],
      patch_size=stored['patch_embed.proj.weight'][-1],
      activation=activation,
      norm_epsilon=float(known['norm_epsilon']),
      pooler=('token_and_distillation' if is_distilled and 'head.bias' in stored
              else _POOLERS[pooling]),
      class_token=has_class_token,
      class_token_position=bool(prefix) or not has_class_token,
      distillation_token=is_distilled,
      num_registers=registers,
      patch_bias='patch_embed.proj.bias' in stored,
      norm_before_layers='norm_pre.weight' in stored,
      final_norm=('pooled' if 'fc_norm.weight' in stored else
                  'tokens' if 'norm.weight' in stored else 'none'),
      representation_size=stored.get('pre_logits.fc.bias', (0,))[0],
      layer_scale_init_value=1e-5 if 'blocks.0.ls1.gamma' in stored else 0.0)


def _check_arguments(config: config_settings.ConfigSettings,
                     model: architecture.Architecture,
                     num_channels: int) -> None:
  """Refuses arguments of the architecture that are not those of the weights."""
  arguments, settings = config.part('model_args'), model.backbone
  found = {
      'depth': model.num_layers, 'embed_dim': settings.hidden_size,
      'patch_size': settings.patch_size, 'num_classes': model.num_classes,
      'reg_tokens': settings.num_registers,
      'class_token': settings.class_token, 'in_chans': num_channels}
  if arguments.get('img_size') is not None:
    config.agrees('model_args.img_size', arguments.sides('img_size'),
                  model.image_size)
  for name, value in found.items():
    said = arguments.get(name)
    if said is not None:
      config.agrees(f'model_args.{name}', said, value)
  if arguments.get('mlp_ratio') is not None:
    ratio = arguments.number('mlp_ratio')
    # Of which timm takes the whole part.
    if abs(ratio * settings.hidden_size - settings.transformer.mlp_dim) >= 1:
      config.agrees('model_args.mlp_ratio', ratio,
                    settings.transformer.mlp_dim / settings.hidden_size)
  inner, outer = arguments.get('global_pool'), config.get('global_pool')
  if None not in (inner, outer) and inner != outer:
    raise errors.UserError(
        f'{config.path}: model_args.global_pool is {inner!r}, but global_pool '
        f'{outer!r}. Get the file anew.')


def _num_prefix_positions(found: arrays.Arrays,
                          stored: Mapping[str, tuple[int, ...]],
                          config: config_settings.ConfigSettings) -> int:
  """Returns how many positions are of class and distillation token."""
  tokens = int('cls_token' in stored) + int('dist_token' in stored)
  registers = stored.get('reg_token', (1, 0, 0))[1]
  num_positions = stored['pos_embed'][1]
  size = _image_size(config)
  patch_size = stored['patch_embed.proj.weight'][-1]
  num_patches = math.prod(side // patch_size for side in size)
  if num_positions - num_patches in (0, tokens):
    return num_positions - num_patches
  if registers and num_positions == num_patches + tokens + registers:
    raise errors.UserError(
        f'{found.path} cannot become a Funnel-ViT: its registers have '
        'positions. Take another model.')
  raise errors.UserError(
      f'{config.path} says input_size {size[0]} x {size[1]} px, which is '
      f'{num_patches} patches, but pos_embed in {found.path} has '
      f'{num_positions} positions. Get config and weights of one model.')


def _image_size(config: config_settings.ConfigSettings) -> tuple[int, int]:
  """Returns (height, width) that the positions are for, px."""
  _, height, width = config.part('pretrained_cfg').numbers('input_size', 3)
  return int(height), int(width)


def _preprocessing(images: config_settings.ConfigSettings
                   ) -> architecture.Preprocessing:
  """Returns how images are preprocessed."""
  method, mode = images.text('interpolation'), images.text('crop_mode')
  errors_found = [
      f'{name} is {value!r}, but must be one of {", ".join(choices)}'
      for name, value, choices in (
          ('interpolation', method, RESIZE_METHODS),
          ('crop_mode', mode, ('center', 'squash'))) if value not in choices]
  if errors_found:
    raise errors.UserError(
        f'{images.path}: {errors_found[0]}. Take another model.')
  fraction = images.number('crop_pct')
  if fraction > 1:
    raise errors.UserError(
        f'{images.path}: crop_pct is {fraction}, but must be at most 1. Get '
        'the file anew.')
  return architecture.Preprocessing(
      *images.mean_and_stddev('mean', 'std'),
      RESIZE_METHODS[method], fraction, squashes=mode == 'squash')


def _class_names(config: config_settings.ConfigSettings,
                 num_classes: int) -> tuple[str, ...]:
  """Returns the names of the classes, if the config has them."""
  if not num_classes:
    return ()
  # timm's loader lets what stands outside replace what stands inside.
  labels = config_settings.ConfigSettings(
      config.path, config.values, config.part('pretrained_cfg').values)
  described = labels.mapping('label_descriptions')
  by_class = tuple(
      str(described.get(name, name)) for name in labels.class_names(
          'label_names', num_classes, takes_list=True))
  if by_class:
    labels.check_class_names('label_names', by_class)
  return by_class
