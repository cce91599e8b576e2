"""The folder of a model as a `--config_file`: to begin from what it holds.

That of a training, or of an import, says what the model is and what images it
wants. A fine-tuning takes both over; the recipe, the data and the head are its
own.
"""

from __future__ import annotations

from typing import Any

from official.core import config_definitions as cfg

from official_ext.params import change_kinds
from official_ext.params import tree

# Other values of these would make another model.
_MODEL_KINDS = (change_kinds.Kind.ARCHITECTURE, change_kinds.Kind.VARIABLES)
_BACKBONE = 'task.model.backbone.'
# Beside the backbone: which images the model wants.
_IMAGES = (
    *change_kinds.OF_GRID,
    'task.train_data.mean_rgb', 'task.train_data.stddev_rgb',
    'task.train_data.resize_antialias', 'task.train_data.tf_resize_method',
    'task.validation_data.aug_crop', 'task.validation_data.resize_antialias',
    'task.validation_data.tf_resize_method',
    'task.validation_data.resize_mode',
    'task.validation_data.center_crop_fraction')


def settings(params: cfg.ExperimentConfig, folder: str) -> dict[str, Any]:
  """Returns the settings of an experiment that begins from a model.

  Args:
    params: the configuration that is saved in the folder.
    folder: of the model's checkpoints.

  Returns:
    Settings, nested by name.
  """
  found: dict[str, Any] = {'task': {
      'init_checkpoint': folder,
      # Those that it was trained on are seldom the classes of the data.
      'init_checkpoint_modules': 'backbone'}}
  for one in tree.walk(params):
    if not one.is_chosen or one.group or not _is_of_model(one.path):
      continue
    *names, key = one.path.split('.')
    group = found
    for name in names:
      group = group.setdefault(name, {})
    group[key] = one.value
  return found


def _is_of_model(path: str) -> bool:
  return path in _IMAGES or (
      path.startswith(_BACKBONE) and
      change_kinds.of_setting(path) in _MODEL_KINDS)
