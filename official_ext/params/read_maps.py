"""Which feature maps of the backbone a decoder or a head reads: are they there?

A model that lacks one would fail in the middle of being built.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from official.modeling import hyperparams

from official_ext.modeling import specs


def check(model: hyperparams.Config, setting: str, levels: Iterable[int]
          ) -> None:
  """Refuses what would fail, or lose pixels, in the middle of a model.

  Args:
    model: configuration of a model on `funnel_vit`.
    setting: the one below task.model that says which maps are read.
    levels: which it reads.

  Raises:
    ValueError: if the backbone lacks a map, or patches do not fill the images.
  """
  size = model.input_size
  if len(size) != 3 or not all(isinstance(side, int) for side in size):
    raise ValueError(
        f'task.model.input_size is {list(size)}, but a position embedding is '
        'for one size. Set it to [height,width,3], px.')
  spec = specs.of_model(model)
  specs.check_patches(size[:2], spec.patch_size, 'task.model.input_size')
  there = spec.feature_maps.levels
  for level in levels:
    if level not in there:
      raise ValueError(
          f'task.model.{setting} is {_value(model, setting)}, but the maps of '
          f'the backbone are of levels {", ".join(map(str, there)) or "none"}. '
          'Set task.model.backbone.funnel_vit.feature_maps.levels, or another '
          f'{setting}.')


def _value(config: hyperparams.Config, setting: str) -> Any:
  for name in setting.split('.'):
    config = getattr(config, name)
  return config
