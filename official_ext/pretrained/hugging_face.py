"""Hugging Face's models: config.json and tensors, in the settings of ours.

The config decides what the weights do not show: heads, GELU, epsilon. What it
leaves out is what transformers takes then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
import math
import re
from typing import Any

from official_ext.command_line import errors
from official_ext.pretrained import architecture
from official_ext.pretrained import arrays
from official_ext.pretrained import config_settings
from official_ext.pretrained import hugging_face_images
from official_ext.pretrained import hugging_face_names
from official_ext.pretrained import key_map
from official_ext.pretrained import torch_names

_ACTIVATIONS = {
    'gelu': 'gelu_erf', 'gelu_python': 'gelu_erf',
    'gelu_pytorch_tanh': 'gelu_tanh', 'gelu_new': 'gelu_tanh',
    'gelu_fast': 'gelu_tanh', 'quick_gelu': 'gelu_quick'}
_DEFAULTS = dict(
    hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
    intermediate_size=3072, hidden_act='gelu', layer_norm_eps=1e-12,
    image_size=224, patch_size=16, num_channels=3, qkv_bias=True,
    pooler_act='tanh', use_swiglu_ffn=False, vision_use_head=True)
_DINOV2 = dict(
    layer_norm_eps=1e-6, mlp_ratio=4, layerscale_value=1.0, patch_size=14)
_CLIP = dict(hidden_act='quick_gelu', layer_norm_eps=1e-5, patch_size=32)
_SIGLIP = dict(hidden_act='gelu_pytorch_tanh', layer_norm_eps=1e-6)
# Where a model's defaults are other than ViT's.
_OWN_DEFAULTS = {
    'vit_msn': dict(layer_norm_eps=1e-6),
    'dinov2': _DINOV2,
    'dinov2_with_registers': {
        **_DINOV2, 'patch_size': 16, 'num_register_tokens': 4},
    'clip': _CLIP, 'clip_vision_model': _CLIP,
    'siglip': _SIGLIP, 'siglip_vision_model': _SIGLIP}
# Why models are not taken that are Transformers on patches too.
_REFUSED = {
    'dinov3_vit': 'its positions are rotary (RoPE) and its keys have no bias',
    'beit': 'its positions are relative, in every layer',
    'data2vec-vision': 'its positions are relative, in every layer',
    'swin': 'its attention is in windows, with relative positions',
    'swinv2': 'its attention is in windows, with relative positions',
    'siglip2': 'its images have any shape (NaFlex)',
    'siglip2_vision_model': 'its images have any shape (NaFlex)',
    'vit_hybrid': 'its patches are embedded by a ResNet',
    'pvt': 'its tokens have several resolutions',
}
# What a tensor shows of an architecture that ours is not.
_FOREIGN_TENSORS = {
    r'rope_|rotary': 'its positions are rotary (RoPE)',
    r'relative_position': 'its positions are relative',
    r'mlp\.(weights_in|gate_proj|up_proj)': 'its MLP is gated (SwiGLU)',
    r'(query|q)_norm': 'its queries and keys are normalised',
}


def read(found: arrays.Arrays, config_path: str, config: Mapping[str, Any],
         image_config_path: str, license_name: str = ''
         ) -> tuple[architecture.Architecture, list[key_map.Entry],
                    dict[str, str]]:
  """Says what a model of Hugging Face is, and where its variables are.

  Args:
    found: its tensors.
    config_path: of config.json, for messages.
    config: what that file holds, with a `model_type`.
    image_config_path: of preprocessor_config.json.
    license_name: what the authors say of its license.

  Returns:
    The architecture; where each variable is; and why tensors are left out, by
    name.

  Raises:
    errors.UserError: if it is no model that ours can be, or config and weights
      do not agree.
  """
  outer = config_settings.ConfigSettings(config_path, config)
  kind = outer.text('model_type')
  if kind in _REFUSED:
    raise errors.UserError(
        f'{config_path}: model_type {kind} cannot become a Funnel-ViT: '
        f'{_REFUSED[kind]}. Take another model.')
  family = hugging_face_names.FAMILIES.get(kind)
  if family is None:
    raise errors.UserError(
        f'{config_path}: model_type {kind!r} is none of those that are known: '
        f'{", ".join(hugging_face_names.FAMILIES)}. Take another model.')
  refuse_foreign(found, _FOREIGN_TENSORS)
  defaults = {**_DEFAULTS, **_OWN_DEFAULTS.get(kind, {})}
  settings = (_vision_config(outer, defaults) if kind in ('clip', 'siglip') else
              config_settings.ConfigSettings(config_path, config, defaults))
  names = found.stored
  prefix = family.prefix(names)
  if prefix is None:
    raise errors.UserError(
        f'{found.path} has no {family.prefixes[0]}{family.parts["embedding"]}'
        f'.weight, which a model of type {kind} begins with. Get config and '
        'weights of one model.')
  naming = family.naming(names, prefix)
  num_classes = _num_classes(found)
  backbone = _backbone(kind, settings, names, prefix, bool(num_classes))
  model = architecture.Architecture(
      kind=f'Hugging Face {kind}',
      backbone=backbone,
      image_size=settings.sides('image_size'),
      num_classes=num_classes,
      preprocessing=hugging_face_images.read(
          image_config_path, settings.sides('image_size'), kind),
      class_names=_class_names(outer, num_classes),
      license=license_name)
  _check_agreement(found, settings, model, naming, prefix)
  left_out = {}
  for beginning, reason in family.left_out.items():
    begin = beginning.format(prefix)
    left_out |= {name: reason for name in names if name.startswith(begin)}
  if kind in ('clip', 'siglip', 'vit', 'deit') and num_classes:
    left_out |= {
        name: 'which its head does not read' for name in names
        if name.startswith((f'{prefix}pooler.', f'{prefix}head.')) or (
            kind == 'clip' and name.startswith(f'{prefix}post_layernorm.'))}
  return model, torch_names.entries(naming, model, prefix), left_out


def _vision_config(config: config_settings.ConfigSettings,
                   defaults: Mapping[str, Any]
                   ) -> config_settings.ConfigSettings:
  """Returns the settings of the image tower.

  transformers takes CLIP's `vision_config_dict`, of old files, with its
  defaults, over `vision_config`.
  """
  settings = config.part('vision_config', defaults)
  if config.get('vision_config_dict') is None:
    return settings
  old = config.part('vision_config_dict', defaults)
  for name in defaults:
    if name in settings.values and settings.get(name) != old.get(name):
      raise errors.UserError(
          f'{config.path}: vision_config.{name} is {settings.get(name)!r}, but '
          f'vision_config_dict, which transformers takes, has '
          f'{old.get(name)!r}. Delete the wrong one there.')
  return old


def refuse_foreign(found: arrays.Arrays, patterns: Mapping[str, str]) -> None:
  """Refuses tensors of an architecture that ours is not.

  Args:
    found: the tensors.
    patterns: the reasons, by regular expressions on their names.

  Raises:
    errors.UserError: naming the first with its reason.
  """
  for name in found.stored:
    for pattern, reason in patterns.items():
      if re.search(pattern, name):
        raise errors.UserError(
            f'{found.path} cannot become a Funnel-ViT: {reason} ({name}). Take '
            'another model.')


def _backbone(kind: str, settings: config_settings.ConfigSettings,
              names: Collection[str], prefix: str, has_head: bool):
  """Returns the settings of our backbone."""
  settings.must_be('num_channels', 3, 'images are RGB')
  settings.must_be('use_swiglu_ffn', False, 'its MLP is gated (SwiGLU)')
  settings.must_be('qkv_bias', True, 'without it there are no biases to take')
  hidden_size = settings.integer('hidden_size')
  num_heads = settings.integer('num_attention_heads')
  if hidden_size % num_heads:
    raise errors.UserError(
        f'{settings.path}: hidden_size {hidden_size} is no multiple of '
        f'num_attention_heads {num_heads}. Get the file anew.')
  activation = settings.text('hidden_act')
  if activation not in _ACTIVATIONS:
    raise errors.UserError(
        f'{settings.path}: hidden_act is {activation!r}, but only '
        f'{", ".join(_ACTIVATIONS)} are taken. Take another model.')
  patch_size = settings.sides('patch_size')
  if patch_size[0] != patch_size[1]:
    raise errors.UserError(
        f'{settings.path}: patches are {patch_size[0]} x {patch_size[1]} px, '
        'but must be square. Take another model.')
  is_dinov2 = kind.startswith('dinov2')
  return architecture.backbone(
      hidden_size=hidden_size,
      num_layers=settings.integer('num_hidden_layers'),
      num_heads=num_heads,
      mlp_dim=(int(hidden_size * settings.number('mlp_ratio')) if is_dinov2
               else settings.integer('intermediate_size')),
      patch_size=patch_size[0],
      activation=_ACTIVATIONS[activation],
      norm_epsilon=settings.number('layer_norm_eps'),
      **_parts(kind, settings, names, prefix, has_head))


def _parts(kind: str, settings: config_settings.ConfigSettings,
           names: Collection[str], prefix: str, has_head: bool
           ) -> dict[str, Any]:
  """Returns what a model has beyond a plain ViT, as settings of ours."""
  parts: dict[str, Any] = {}
  if kind == 'deit':
    # A plain DeiT is a ViT to Hugging Face.
    parts['distillation_token'] = True
    if 'cls_classifier.weight' in names:
      parts['pooler'] = 'token_and_distillation'
  elif kind == 'vit_mae':
    parts |= dict(pooler='gap', class_token=True)
  elif kind == 'ijepa':
    parts['pooler'] = 'gap'
  elif kind.startswith('dinov2'):
    parts['layer_scale_init_value'] = settings.number('layerscale_value')
    if kind.endswith('registers'):
      parts['num_registers'] = settings.integer('num_register_tokens', 0)
    if has_head:
      parts['pooler'] = 'token_and_mean'
  elif kind.startswith('clip'):
    parts |= dict(patch_bias=False, norm_before_layers=True)
    if has_head:
      parts |= dict(pooler='gap', class_token=True, final_norm='none')
    elif 'visual_projection.weight' in names:
      parts['projection_size'] = names['visual_projection.weight'].shape[0]
  elif kind.startswith('siglip'):
    parts['pooler'] = 'map' if (
        not has_head and settings.get('vision_use_head')) else 'gap'
  if not has_head and f'{prefix}pooler.dense.weight' in names:
    settings.must_be('pooler_act', 'tanh', 'pre-logits are behind tanh')
    parts['representation_size'] = names[
        f'{prefix}pooler.dense.weight'].shape[0]
  return parts


def _num_classes(found: arrays.Arrays) -> int:
  """Returns how many classes the head has; 0 without a head."""
  for head in ('classifier', 'cls_classifier'):
    found.check_bias(head)
    name = f'{head}.bias'
    if name in found.stored:
      shape = found.stored[name].shape
      return shape[0] if shape else 0
  return 0


def _class_names(config: config_settings.ConfigSettings,
                 num_classes: int) -> tuple[str, ...]:
  """Returns the names of the classes; none where they are mere numbers."""
  if not num_classes:
    return ()
  by_class = config.class_names('id2label', num_classes)
  if by_class in ((), tuple(f'LABEL_{label}' for label in range(num_classes))):
    return ()
  config.check_class_names('id2label', by_class)
  return by_class


def _check_agreement(found: arrays.Arrays,
                     settings: config_settings.ConfigSettings,
                     model: architecture.Architecture,
                     naming: torch_names.Naming, prefix: str) -> None:
  """Compares the sizes in the config with those of the tensors."""
  names = found.stored
  name = f'{prefix}{naming.parts["embedding"]}.weight'
  embedding = names[name].shape
  if len(embedding) != 4:
    raise errors.UserError(
        f'{found.path}: {name} is {embedding}, but must be the kernel of a '
        'convolution. Take another model.')
  settings.agrees('hidden_size', model.backbone.hidden_size, embedding[0])
  settings.agrees('patch_size', model.backbone.patch_size, embedding[-1])
  settings.agrees('num_hidden_layers', model.num_layers,
                  torch_names.count_layers(names, prefix + naming.layers))
  layer = prefix + naming.layers.format(0)
  dense = f'{layer}{naming.of_layer["mlp/dense_0"]}.weight'
  if dense in names:
    settings.agrees('intermediate_size', model.backbone.transformer.mlp_dim,
                    names[dense].shape[0])
  registers = prefix + naming.parts.get('registers', '')
  if model.backbone.num_registers and registers in names:
    settings.agrees('num_register_tokens', model.backbone.num_registers,
                    sum(names[registers].shape[-2:-1]))
  position = prefix + naming.parts['position_embedding']
  if position not in names:
    return
  num_positions = math.prod(model.grid)
  if f'{prefix}{naming.parts["class_token"]}' in names:
    num_positions += 1 + int(model.backbone.distillation_token)
  if names[position].shape[-2:-1] != (num_positions,):
    raise errors.UserError(
        f'{settings.path} says image_size={list(model.image_size)} and '
        f'patch_size={model.backbone.patch_size}, which takes {num_positions} '
        f'positions, but {position} is {names[position].shape}. Get config and '
        'weights of one model.')
