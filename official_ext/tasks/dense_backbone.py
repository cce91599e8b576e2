"""The backbone of models that answer for every place of an image.

What segmentation and detection share: how it begins from a classifier.
"""

from __future__ import annotations

from official.modeling import hyperparams
import tf_keras

from official_ext.checkpoints import restore


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
