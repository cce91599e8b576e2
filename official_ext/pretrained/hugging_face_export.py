"""Our models as Hugging Face's: which class, its config and its names."""

from __future__ import annotations

from typing import Any

import numpy as np

from official_ext.command_line import errors
from official_ext.modeling import specs
from official_ext.pretrained import architecture
from official_ext.pretrained import hugging_face_images
from official_ext.pretrained import hugging_face_names
from official_ext.pretrained import key_map
from official_ext.pretrained import torch_names

_ACTIVATIONS = {'gelu_erf': 'gelu', 'gelu_tanh': 'gelu_pytorch_tanh',
                'gelu_quick': 'quick_gelu'}
# By model_type: the class without a head and the one with it, and the class of
# the images.
_CLASSES = {
    'vit': ('ViTModel', 'ViTForImageClassification', 'ViTImageProcessor'),
    'deit': ('DeiTModel', 'DeiTForImageClassificationWithTeacher',
             'DeiTImageProcessor'),
    'dinov2': ('Dinov2Model', 'Dinov2ForImageClassification',
               'BitImageProcessor'),
    'dinov2_with_registers': (
        'Dinov2WithRegistersModel',
        'Dinov2WithRegistersForImageClassification', 'BitImageProcessor'),
    'clip_vision_model': ('CLIPVisionModel', None, 'CLIPImageProcessor'),
    'siglip_vision_model': ('SiglipVisionModel', None, 'SiglipImageProcessor'),
}
# What the pooler of a class with a head, and of one without, must be.
_POOLERS = {
    'vit': ('token', 'token'),
    'deit': ('token_and_distillation', 'token'),
    'dinov2': ('token_and_mean', 'token'),
    'dinov2_with_registers': ('token_and_mean', 'token'),
    'clip_vision_model': (None, 'token'),
    'siglip_vision_model': (None, 'map'),
}


def convert(model: architecture.Architecture
            ) -> tuple[list[key_map.Entry], dict[str, dict[str, Any]],
                       dict[str, np.ndarray]]:
  """Says what a model is at Hugging Face's.

  Args:
    model: of ours; without classes its head is left out.

  Returns:
    Where each variable goes; the JSON files to write, by name; and tensors that
    the class has beside, as it initialises them.

  Raises:
    errors.UserError: if Hugging Face has no such model, naming the setting.
  """
  settings = model.backbone
  kind = _kind(settings)
  has_head = bool(model.num_classes)
  _check(model, kind)
  family = hugging_face_names.FAMILIES[kind]
  without_head, with_head, images = _CLASSES[kind]
  name = with_head if has_head else without_head
  if settings.projection_size:
    name = 'CLIPVisionModelWithProjection'
  prefix = family.prefixes[0] if (
      has_head or settings.projection_size) else ''
  config = {'architectures': [name], 'model_type': kind,
            **_config(model, kind)}
  entries = torch_names.entries(family.naming(), model, prefix)
  return entries, {
      'config.json': config,
      hugging_face_images.FILE: hugging_face_images.write(
          model.preprocessing, model.image_size, images)}, (
              # Of masked pretraining, without which it does not load strictly.
              {f'{prefix}embeddings.mask_token': np.zeros(
                  [1, settings.hidden_size], np.float32)}
              if kind.startswith('dinov2') else {})


def _kind(settings) -> str:
  """Returns the `model_type` that a backbone is nearest to."""
  if settings.distillation_token:
    return 'deit'
  if settings.layer_scale_init_value or settings.num_registers:
    return 'dinov2_with_registers' if settings.num_registers else 'dinov2'
  if settings.norm_before_layers:
    return 'clip_vision_model'
  if not specs.has_class_token(settings):
    return 'siglip_vision_model'
  return 'vit'


def _check(model: architecture.Architecture, kind: str) -> None:
  """Refuses what no class of Hugging Face is."""
  settings = model.backbone
  with_head, without_head = _POOLERS[kind]
  if model.num_classes and with_head is None:
    raise errors.UserError(
        f"The nearest of Hugging Face's, {kind}, has no head.")
  if model.num_classes and settings.representation_size:
    raise errors.UserError(
        'Hugging Face has no head behind pre-logits (representation_size='
        f'{settings.representation_size}).')
  wanted = {
      'pooler': with_head if model.num_classes else without_head,
      'final_norm': 'tokens',
      'class_token_position': True,
      'patch_bias': kind != 'clip_vision_model',
      'norm_before_layers': kind == 'clip_vision_model'}
  if kind not in ('vit', 'deit'):
    wanted['representation_size'] = 0
  if kind.startswith('dinov2'):
    if not settings.layer_scale_init_value:
      raise errors.UserError(
          'Hugging Face has registers with LayerScale alone '
          '(layer_scale_init_value is 0).')
    if settings.transformer.mlp_dim % settings.hidden_size:
      raise errors.UserError(
          f"Hugging Face's {kind} has an MLP of a multiple of the width "
          f'{settings.hidden_size}, and this is '
          f'{settings.transformer.mlp_dim}.')
  for name, value in wanted.items():
    found = getattr(settings, name)
    if found != value:
      raise errors.UserError(
          f"Hugging Face's {kind} has {name}={value!r}, and this model "
          f'{found!r}.')


def _config(model: architecture.Architecture, kind: str) -> dict[str, Any]:
  """Returns the settings of config.json."""
  settings, layers = model.backbone, model.backbone.transformer
  height, width = model.image_size
  config = {
      'hidden_size': settings.hidden_size,
      'num_hidden_layers': model.num_layers,
      'num_attention_heads': layers.num_heads,
      'hidden_act': _ACTIVATIONS[layers.activation],
      'layer_norm_eps': layers.norm_epsilon,
      'image_size': height if height == width else [height, width],
      'patch_size': settings.patch_size,
      'num_channels': 3,
      'attention_probs_dropout_prob': layers.attention_dropout_rate,
      'hidden_dropout_prob': layers.dropout_rate,
  }
  if kind.startswith('dinov2'):
    config |= {'mlp_ratio': layers.mlp_dim // settings.hidden_size,
               'layerscale_value': settings.layer_scale_init_value}
    if settings.num_registers:
      config['num_register_tokens'] = settings.num_registers
  else:
    config['intermediate_size'] = layers.mlp_dim
  if kind in ('clip_vision_model', 'siglip_vision_model'):
    config['attention_dropout'] = config.pop('attention_probs_dropout_prob')
    del config['hidden_dropout_prob']
  else:
    config['qkv_bias'] = True
  if settings.projection_size:
    config['projection_dim'] = settings.projection_size
  if settings.representation_size:
    config |= {'pooler_output_size': settings.representation_size,
               'pooler_act': 'tanh'}
  if model.num_classes:
    names = model.class_names or [
        f'LABEL_{label}' for label in range(model.num_classes)]
    config |= {
        'id2label': {str(label): name for label, name in enumerate(names)},
        'label2id': {name: label for label, name in enumerate(names)}}
  return config
