"""Writes models of transformers and timm with what they answer: `make parity`.

  .venv-parity/bin/python tests/write_golden_models.py --size=tiny \
    --output=tests/pretrained/golden --photographs china.jpg flower.jpg

Every family with random weights, saved by the library itself, and beside it in
NAME.npz images, the tokens of the last layer behind its norm, the logits or
features, and photographs as the library's own processor prepares them. Runs
where PyTorch is, and imports nothing of this project.
"""

import argparse
import functools
import pathlib
import shutil

import numpy as np
from PIL import Image
import safetensors
import safetensors.torch
import timm
from timm import data as timm_data
from timm.models import _hub as timm_hub
import torch
import transformers

CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]
SIZES = {
    'tiny': dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
                 intermediate_size=12, image_size=12, patch_size=4),
    'base': dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                 intermediate_size=3072, image_size=224, patch_size=16),
    'base384': dict(hidden_size=768, num_hidden_layers=12,
                    num_attention_heads=12, intermediate_size=3072,
                    image_size=384, patch_size=16),
    'large': dict(hidden_size=1024, num_hidden_layers=24,
                  num_attention_heads=16, intermediate_size=4096,
                  image_size=224, patch_size=16),
}
LABELS = {0: 'ape', 1: 'bee', 2: 'cat'}
t = transformers


def squash(size, mean=(0.5,) * 3, std=(0.5,) * 3, resample=2):
  """Hugging Face's ViT and SigLIP: both sides at once."""
  return t.ViTImageProcessorPil(
      size={'height': size, 'width': size}, image_mean=list(mean),
      image_std=list(std), resample=resample)


def shortest(size, mean, std, fraction=1.0):
  """CLIP and DINOv2: the short side, then the middle."""
  return t.CLIPImageProcessorPil(
      size={'shortest_edge': round(size / fraction)},
      crop_size={'height': size, 'width': size}, image_mean=list(mean),
      image_std=list(std), resample=3)


def squash_and_crop(size):
  """DeiT: both sides at once, then the middle."""
  enlarged = round(size / 0.875)
  return t.DeiTImageProcessorPil(
      size={'height': enlarged, 'width': enlarged},
      crop_size={'height': size, 'width': size}, image_mean=IMAGENET_MEAN,
      image_std=IMAGENET_STD, resample=3)


def hugging_face(sizes):
  """The models by name, each with its processor."""
  size = sizes['image_size']
  labels = dict(id2label=LABELS, label2id={v: k for k, v in LABELS.items()})
  dino = {k: v for k, v in sizes.items() if k != 'intermediate_size'}
  dino |= dict(mlp_ratio=2 if sizes['hidden_size'] < 64 else 4,
               layerscale_value=0.5)
  clip_text = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                   num_attention_heads=2, vocab_size=8,
                   max_position_embeddings=4, eos_token_id=7, bos_token_id=6,
                   pad_token_id=0)
  clip_images = shortest(size, CLIP_MEAN, CLIP_STD)
  dino_images = shortest(size, IMAGENET_MEAN, IMAGENET_STD, 0.875)
  imagenet = squash(size, IMAGENET_MEAN, IMAGENET_STD)
  return {
      'hf_vit': lambda: (t.ViTForImageClassification(
          t.ViTConfig(**sizes, **labels)), squash(size)),
      'hf_vit_pre_logits': lambda: (t.ViTModel(t.ViTConfig(**sizes)),
                                    squash(size)),
      'hf_dino': lambda: (t.ViTModel(
          t.ViTConfig(**sizes), add_pooling_layer=False), imagenet),
      'hf_deit_distilled': lambda: (t.DeiTForImageClassificationWithTeacher(
          t.DeiTConfig(**sizes, **labels)), squash_and_crop(size)),
      'hf_deit_one_head': lambda: (t.DeiTForImageClassification(
          t.DeiTConfig(**sizes, **labels)), squash_and_crop(size)),
      'hf_mae': lambda: (t.ViTMAEForPreTraining(t.ViTMAEConfig(
          **sizes, mask_ratio=0.0, decoder_hidden_size=8,
          decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
          decoder_intermediate_size=8)), imagenet),
      'hf_msn': lambda: (t.ViTMSNForImageClassification(
          t.ViTMSNConfig(**sizes, **labels)), imagenet),
      'hf_ijepa': lambda: (t.IJepaForImageClassification(
          t.IJepaConfig(**sizes, **labels)), imagenet),
      'hf_dinov2': lambda: (t.Dinov2Model(t.Dinov2Config(**dino)),
                            dino_images),
      'hf_dinov2_classifier': lambda: (t.Dinov2ForImageClassification(
          t.Dinov2Config(**dino, **labels)), dino_images),
      'hf_dinov2_registers': lambda: (
          t.Dinov2WithRegistersForImageClassification(
              t.Dinov2WithRegistersConfig(
                  **dino, **labels, num_register_tokens=4)), dino_images),
      'hf_clip': lambda: (t.CLIPVisionModelWithProjection(t.CLIPVisionConfig(
          **sizes, projection_dim=6)), clip_images),
      'hf_clip_vision': lambda: (t.CLIPVisionModel(t.CLIPVisionConfig(
          **sizes, hidden_act='gelu')), clip_images),
      'hf_clip_both_towers': lambda: (t.CLIPModel(t.CLIPConfig(
          vision_config=dict(sizes), text_config=clip_text,
          projection_dim=6)), clip_images),
      'hf_clip_classifier': lambda: (t.CLIPForImageClassification(
          t.CLIPConfig(vision_config=dict(sizes), text_config=clip_text,
                       **labels)), clip_images),
      'hf_siglip': lambda: (t.SiglipVisionModel(
          t.SiglipVisionConfig(**sizes)), squash(size, resample=3)),
      'hf_siglip_both_towers': lambda: (t.SiglipModel(t.SiglipConfig(
          vision_config=dict(sizes), text_config=clip_text)),
          squash(size, resample=3)),
      'hf_siglip_classifier': lambda: (t.SiglipForImageClassification(
          t.SiglipConfig(vision_config=dict(sizes), text_config=clip_text,
                         **labels)), squash(size, resample=3)),
  }


def timm_models(sizes, is_tiny):
  """The architectures of timm by name, with their arguments."""
  shape = dict(img_size=sizes['image_size'], num_classes=3)
  if is_tiny:
    shape |= dict(patch_size=4, embed_dim=8, depth=2, num_heads=2,
                  mlp_ratio=1.5)
  elif sizes['hidden_size'] == 1024:
    shape |= dict(embed_dim=1024, depth=24, num_heads=16)
  return {name: functools.partial(timm.create_model, architecture, **shape)
          for name, architecture in
          {'timm_vit': 'vit_base_patch16_224',
           'timm_deit': 'deit_base_patch16_224',
           'timm_deit_distilled': 'deit_base_distilled_patch16_224',
           'timm_deit3': 'deit3_base_patch16_224',
           'timm_dinov2': 'vit_base_patch14_dinov2',
           'timm_dinov2_registers': 'vit_base_patch14_reg4_dinov2',
           'timm_clip': 'vit_base_patch16_clip_224',
           'timm_clip_quickgelu': 'vit_base_patch16_clip_quickgelu_224',
           'timm_siglip': 'vit_base_patch16_siglip_224',
           'timm_siglip_gap': 'vit_base_patch16_siglip_gap_224',
           'timm_registers_gap': 'vit_medium_patch16_reg4_gap_256'}.items()
          }




def randomize(model):
  """Every parameter other than any initialiser leaves it."""
  with torch.no_grad():
    for name, value in model.named_parameters():
      fan_in = value[0].numel() if value.ndim > 1 else 1
      noise = torch.randn_like(value)
      if value.ndim <= 1 or 'norm' in name or 'lambda' in name:
        value.add_(0.2 * noise)
      elif 'token' in name or 'pos' in name or 'embedding' in name or (
          'probe' in name or 'latent' in name):
        value.copy_(0.5 * noise)
      else:
        value.copy_(1.5 * noise / fan_in ** 0.5)


def answers(model, images):
  """The tokens behind the last norm, and the logits or features."""
  name = type(model).__name__
  if not isinstance(model, t.PreTrainedModel):
    tokens = model.forward_features(images)
    return tokens, model(images)
  inner = getattr(model, model.base_model_prefix, model)
  if 'CLIP' in name or 'Siglip' in name:
    tower = getattr(model, 'vision_model', model)
    tokens = tower(pixel_values=images).last_hidden_state
    if name.startswith('CLIP') and name != 'CLIPForImageClassification':
      tokens = tower.post_layernorm(tokens)
    if name in ('CLIPModel', 'SiglipModel'):
      features = model.get_image_features(pixel_values=images)
      return tokens, getattr(features, 'pooler_output', features)
    found = model(pixel_values=images)
    for key in ('logits', 'image_embeds', 'pooler_output'):
      if getattr(found, key, None) is not None:
        return tokens, getattr(found, key)
  if 'MAE' in name:
    # In the order of the patches, of which none is masked.
    num_patches = inner.embeddings.patch_embeddings.num_patches
    noise = torch.arange(num_patches).float()[None].expand(len(images), -1)
    tokens = inner(images, noise=noise).last_hidden_state
    return tokens, tokens[:, 1:].mean(1)
  found = inner(images)
  tokens = found.last_hidden_state
  if hasattr(model, 'classifier') or hasattr(model, 'cls_classifier'):
    return tokens, model(images).logits
  pooled = getattr(found, 'pooler_output', None)
  return tokens, tokens[:, 0] if pooled is None else pooled


def write(name, build, folder, photographs, image_size):
  """Writes one model with what it answers."""
  torch.manual_seed(sum(map(ord, name)))
  built = build()
  model, processor = built if isinstance(built, tuple) else (built, None)
  model.eval()
  randomize(model)
  generator = np.random.default_rng(0)
  images = generator.normal(size=(2, image_size, image_size, 3)).astype('f4')
  with torch.no_grad():
    tokens, output = answers(model, torch.tensor(images.transpose(0, 3, 1, 2)))
  if folder.exists():
    shutil.rmtree(folder)
  folder.mkdir(parents=True)
  if processor:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    pixels = [processor(photograph, return_tensors='np')['pixel_values'][0]
              for photograph in photographs]
  else:
    timm_hub.save_for_hf(model, folder, safe_serialization=True)
    transform = timm_data.create_transform(
        **timm_data.resolve_data_config(
            {'input_size': (3, image_size, image_size)}, model=model))
    pixels = [transform(photograph).numpy() for photograph in photographs]
  if name == 'hf_msn':
    # transformers 5 loses the prefix of the layers, which files have.
    with safetensors.safe_open(folder / 'model.safetensors', 'pt') as file:
      found = {f'vit.{key}' if key.startswith('encoder.') else key:
                   file.get_tensor(key) for key in file.keys()}
    safetensors.torch.save_file(
        found, folder / 'model.safetensors', metadata={'format': 'pt'})
  for path in folder.iterdir():
    if path.name not in ('config.json', 'preprocessor_config.json',
                         'model.safetensors'):
      path.unlink()
  np.savez_compressed(
      folder.with_suffix('.npz'), images=images, tokens=tokens.numpy(),
      output=output.numpy(),
      pixels=np.array(pixels).transpose(0, 2, 3, 1).astype('f4'))
  print(f'{name}: tokens {tuple(tokens.shape)}, output {tuple(output.shape)}')


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--size', choices=SIZES, required=True)
  parser.add_argument('--output', type=pathlib.Path, required=True)
  parser.add_argument('--photographs', nargs='+', required=True)
  parser.add_argument('--only', nargs='+', help='names of models')
  arguments = parser.parse_args()
  sizes = SIZES[arguments.size]
  photographs = [Image.open(path).convert('RGB')
                 for path in arguments.photographs]
  is_tiny = arguments.size == 'tiny'
  for name, build in {**hugging_face(sizes),
                      **timm_models(sizes, is_tiny)}.items():
    if not arguments.only or name in arguments.only:
      write(name, build, arguments.output / name, photographs,
            sizes['image_size'])


if __name__ == '__main__':
  main()
