"""Published models with what their libraries answer, and damaged ones.

`write_golden_models.py` writes them, with transformers and timm.
"""

import json
import os
import pathlib
import shutil

import numpy as np
from official.core import task_factory
from official.vision.configs import image_classification
import safetensors
from safetensors import numpy as safetensors_numpy

from official_ext import registry_imports  # noqa: F401
from official_ext.checkpoints import restore
from official_ext.configs import backbones
from official_ext.configs import image_classification as configs

# A folder of other sizes, which `make parity` writes.
GOLDEN = pathlib.Path(
    os.environ.get('PARITY_DIR') or
    pathlib.Path(__file__).resolve().parent / 'pretrained' / 'golden')
# Of which the suite takes one of each way to read: the others are proofs.
IN_SUITE = ('hf_siglip', 'timm_dinov2_registers')


def names():
  return sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


def folder(name):
  return GOLDEN / name


def answers(name):
  """The images, tokens, output and prepared photographs of a model."""
  with np.load(folder(name).with_suffix('.npz')) as found:
    return dict(found)


def tensors(path):
  """The tensors of a safetensors file by name."""
  with safetensors.safe_open(path, 'numpy') as file:
    return {name: file.get_tensor(name) for name in file.keys()}


def save(path, found):
  safetensors_numpy.save_file(
      {name: np.ascontiguousarray(value) for name, value in found.items()},
      path, metadata={'format': 'pt'})


def ours(source):
  """A classifier of ours with the weights of a source."""
  # All tokens are looked at, not only the class token.
  backbone = source.model.backbone.replace(
      fast_path={'class_token_only': False})
  model = task_factory.get_task(configs.ImageClassificationTask(
      model=image_classification.ImageClassificationModel(
          num_classes=source.model.num_classes or 1,
          input_size=[*source.model.image_size, 3],
          backbone=backbones.Backbone(
              type='funnel_vit', funnel_vit=backbone)))).build_model()
  plan = restore.make_plan(
      model, source, 'all' if source.model.num_classes else 'backbone')
  restore.apply(plan, model, source)
  return model


def copy(name, to, change=None, config=None):
  """A copy of a model, some of its tensors and its config changed."""
  shutil.copytree(folder(name), to)
  if change:
    found = tensors(to / 'model.safetensors')
    change(found)
    save(to / 'model.safetensors', found)
  if config:
    change_json(to / 'config.json', config)
  return to


def change_json(path, change):
  content = json.loads(path.read_text())
  change(content)
  path.write_text(json.dumps(content))


def jax_arrays(found, num_heads, naming='flax', prefix=''):
  """The tensors of Hugging Face's ViT as the .npz files name them.

  Args:
    found: the tensors, by their names on disk.
    num_heads: of the model.
    naming: 'flax' of vision_transformer, 'big_vision', or 'stacked'.
    prefix: in front of every name.

  Returns:
    Arrays by name.
  """
  parts = {
      'flax': ('MultiHeadDotProductAttention_1', 'LayerNorm_2', 'MlpBlock_3'),
  }.get(naming, ('MultiHeadDotProductAttention_0', 'LayerNorm_1', 'MlpBlock_0'))
  attention, mlp_norm, mlp = parts
  arrays = {
      'cls': found['vit.embeddings.cls_token'],
      'embedding/kernel': np.transpose(
          found['vit.embeddings.patch_embeddings.projection.weight'],
          (2, 3, 1, 0)),
      'embedding/bias': found[
          'vit.embeddings.patch_embeddings.projection.bias'],
      'Transformer/encoder_norm/scale': found['vit.layernorm.weight'],
      'Transformer/encoder_norm/bias': found['vit.layernorm.bias'],
      'head/kernel': found['classifier.weight'].T,
      'head/bias': found['classifier.bias']}
  position = found['vit.embeddings.position_embeddings']
  if naming == 'flax':
    arrays['Transformer/posembed_input/pos_embedding'] = position
  else:
    # The class token has no place: it takes what it had with it.
    arrays['pos_embedding'] = position[:, 1:]
    arrays['cls'] = arrays['cls'] + position[:, :1]
  layers = []
  number = 0
  while f'vit.encoder.layer.{number}.layernorm_before.weight' in found:
    begin = f'vit.encoder.layer.{number}.'
    layer = {}
    for ours, theirs in (('LayerNorm_0', 'layernorm_before'),
                         (mlp_norm, 'layernorm_after')):
      layer[f'{ours}/scale'] = found[f'{begin}{theirs}.weight']
      layer[f'{ours}/bias'] = found[f'{begin}{theirs}.bias']
    for name in ('query', 'key', 'value'):
      kernel = found[f'{begin}attention.attention.{name}.weight'].T
      layer[f'{attention}/{name}/kernel'] = kernel.reshape(
          len(kernel), num_heads, -1)
      layer[f'{attention}/{name}/bias'] = found[
          f'{begin}attention.attention.{name}.bias'].reshape(num_heads, -1)
    kernel = found[f'{begin}attention.output.dense.weight'].T
    layer[f'{attention}/out/kernel'] = kernel.reshape(
        num_heads, -1, kernel.shape[-1])
    layer[f'{attention}/out/bias'] = found[
        f'{begin}attention.output.dense.bias']
    for dense, theirs in (('Dense_0', 'intermediate.dense'),
                          ('Dense_1', 'output.dense')):
      layer[f'{mlp}/{dense}/kernel'] = found[f'{begin}{theirs}.weight'].T
      layer[f'{mlp}/{dense}/bias'] = found[f'{begin}{theirs}.bias']
    layers.append(layer)
    number += 1
  for name in layers[0]:
    if naming == 'stacked':
      arrays[f'Transformer/encoderblock/{name}'] = np.stack(
          [layer[name] for layer in layers])
    else:
      arrays |= {f'Transformer/encoderblock_{number}/{name}': layer[name]
                 for number, layer in enumerate(layers)}
  return {prefix + name: np.ascontiguousarray(value)
          for name, value in arrays.items()}
