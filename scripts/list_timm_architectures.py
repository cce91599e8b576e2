"""Lists what timm's Vision Transformers are beyond what their weights show.

  .venv-parity/bin/python scripts/list_timm_architectures.py

Writes official_ext/pretrained/timm_architectures.tsv: by architecture the
heads, the activation and the epsilon that timm's own code gives it, or why it
is none that a Funnel-ViT can be. A config.json of timm names the architecture
and leaves these to timm. Needs timm; runs no model.
"""

import functools
import pathlib

import timm
from timm import models
from timm.models import deit
from timm.models import vision_transformer
import torch

OUTPUT = (pathlib.Path(__file__).resolve().parent.parent / 'official_ext' /
          'pretrained' / 'timm_architectures.tsv')
_REASONS = {
    'qk_norm': 'its queries and keys are normalised',
    'scale_attn_norm': 'its attention has a norm of its own',
    'scale_mlp_norm': 'its MLP has a norm of its own',
    'pool_include_prefix': 'it pools registers with the patches',
}
_PLAIN = {
    'block_fn': vision_transformer.Block, 'mlp_layer': vision_transformer.Mlp,
    'embed_layer': vision_transformer.PatchEmbed}
_ACTIVATIONS = {None: 'gelu_erf', 'gelu': 'gelu_erf',
                'gelu_tanh': 'gelu_tanh', 'quick_gelu': 'gelu_quick'}


def settings_of(name):
  """The arguments that timm builds an architecture with."""
  found = {}

  def capture(cls, variant, pretrained, **settings):
    del variant, pretrained
    found.update(settings, cls=cls)

  originals = [(module, module.build_model_with_cfg)
               for module in (vision_transformer, deit)]
  for module, _ in originals:
    module.build_model_with_cfg = capture
  try:
    models.model_entrypoint(name)()
  finally:
    for module, original in originals:
      module.build_model_with_cfg = original
  return found


def row(name):
  """One line of the table."""
  found = settings_of(name)
  for setting, reason in _REASONS.items():
    if found.get(setting):
      return [name, '', '', '', reason]
  for setting, plain in _PLAIN.items():
    value = found.get(setting, plain)
    if value is not plain:
      return [name, '', '', '', f'its {setting} is '
              f'{getattr(value, "__name__", None) or value.func.__name__}']
  for setting in ('qkv_bias', 'proj_bias'):
    if found.get(setting) is False:
      return [name, '', '', '', f'it has no {setting}']
  if found.get('attn_layer') or found.get('embed_norm_layer'):
    return [name, '', '', '', 'its attention is of another kind']
  norm = found.get('norm_layer')
  norm = vision_transformer.get_norm_layer(norm) if norm else (
      vision_transformer.LayerNorm)
  epsilon = norm(8).eps
  if not isinstance(norm(8), torch.nn.LayerNorm):
    return [name, '', '', '', f'its norm is {type(norm(8)).__name__}']
  activation = found.get('act_layer')
  if isinstance(activation, functools.partial):
    activation = f'{activation.func.__name__}'
  if activation not in _ACTIVATIONS:
    return [name, '', '', '', f'its activation is {activation}']
  return [name, str(found.get('num_heads', 12)), _ACTIVATIONS[activation],
          f'{epsilon:g}', '']


def main():
  names = sorted({name for module in ('vision_transformer', 'deit')
                  for name in timm.list_models(module=module)})
  lines = [row(name) for name in names if 'cait' not in name]
  OUTPUT.write_text(''.join(
      '\t'.join(line) + '\n'
      for line in [['architecture', 'num_heads', 'activation', 'norm_epsilon',
                    'refused'], *lines]), encoding='utf-8')
  print(f'{len(lines)} architectures of timm {timm.__version__}: {OUTPUT}')


if __name__ == '__main__':
  main()
