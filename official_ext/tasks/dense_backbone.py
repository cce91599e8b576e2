"""The backbone of models that answer for every place of an image.

What segmentation and detection share: which maps the backbone must have, and
how it begins from a classifier.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from official.modeling import hyperparams
import tf_keras

from official_ext.checkpoints import restore
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


def loads_backbone(config: hyperparams.Config) -> bool:
  """Says whether `initialize` is for a task's init_checkpoint.

  Args:
    config: the configuration of a task.

  Returns:
    False if there is none, or Model Garden loads it: into a backbone of its
    own, or more than the backbone.
  """
  return bool(config.init_checkpoint) and (
      config.model.backbone.type == 'funnel_vit' and
      config.init_checkpoint_modules in ('backbone', ['backbone']))


def initialize(model: tf_keras.Model, config: hyperparams.Config
               ) -> restore.Plan:
  """Loads the backbone of any classifier of ours.

  Args:
    model: of the task.
    config: of the task, with `init_checkpoint`, `init_checkpoint_grid` and
      `init_checkpoint_resize_method`.

  Returns:
    What became of every variable.

  Raises:
    restore.LoadError: if the checkpoint does not fit.
  """
  try:
    report = restore.load(
        model, config.init_checkpoint, modules='backbone',
        method=config.init_checkpoint_resize_method,
        source_grid=config.init_checkpoint_grid)
  except ValueError as error:
    raise restore.LoadError(f'task.init_checkpoint: {error}') from error
  report.log()
  return report
