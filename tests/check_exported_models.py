"""Loads what we export by transformers and timm: a part of `make parity`.

  .venv-parity/bin/python tests/check_exported_models.py EXPORTS GOLDEN

Each folder of EXPORTS must load with every tensor in its place, and answer as
the model of the same name did of which it is the round trip.
"""

import json
import pathlib
import sys

import numpy as np
import timm
import torch
import transformers
from write_golden_models import answers

TOLERANCE = 1e-5


def load(folder):
  """The model of a folder, if nothing is missing or over."""
  config = json.loads((folder / 'config.json').read_text())
  if 'model_type' not in config:
    model = timm.create_model(f'local-dir:{folder}', pretrained=True)
    state = timm.models.load_state_dict(str(folder / 'model.safetensors'))
    model.load_state_dict(state, strict=True)
    return model
  kind = getattr(transformers, config['architectures'][0])
  settings = {}
  if kind is transformers.ViTModel:
    settings['add_pooling_layer'] = 'pooler_act' in config
  model, report = kind.from_pretrained(
      folder, output_loading_info=True, **settings)
  assert not report['missing_keys'] and not report['unexpected_keys'], report
  return model


def main():
  exports, golden = map(pathlib.Path, sys.argv[1:])
  for folder in sorted(exports.iterdir()):
    model = load(folder).eval()
    with np.load(golden / f'{folder.name}.npz') as expected:
      with torch.no_grad():
        found = answers(model, torch.tensor(
            expected['images'].transpose(0, 3, 1, 2)))
      for name, value in zip(('tokens', 'output'), found):
        error = np.abs(value.numpy() - expected[name]).max() / np.abs(
            expected[name]).max()
        assert error < TOLERANCE, (folder.name, name, error)
        print(f'{folder.name}: loaded, {name} as before within {error:.1e} of '
              'the largest value')


if __name__ == '__main__':
  main()
