"""Derives for how many steps the backbone is frozen, and where it can be."""

from __future__ import annotations

from absl import logging
from official.core import config_definitions as cfg

from official_ext.optimization import layerwise

_EPOCHS = 'trainer.frozen_backbone_epochs'
_LAYERWISE = (layerwise.LayerwiseAdamWConfig, layerwise.LayerwiseSGDConfig)


def resolve(params: cfg.ExperimentConfig) -> None:
  """Derives the steps from the epochs, in place.

  Args:
    params: an experiment of ours, its other steps derived.

  Raises:
    ValueError: if the backbone cannot be frozen for so long, or not at all.
  """
  trainer = params.trainer
  epochs = trainer.frozen_backbone_epochs
  kind = trainer.optimizer_config.optimizer.type
  optimizer = trainer.optimizer_config.optimizer.get()
  if not isinstance(optimizer, _LAYERWISE):
    if epochs:
      raise ValueError(
          f'{_EPOCHS} is {epochs}, but the optimizer {kind} has one learning '
          'rate for all weights. Set trainer.optimizer_config.optimizer.type '
          'to adamw_layerwise or sgd_layerwise.')
  elif optimizer.frozen_backbone_steps:
    _check(params, optimizer.frozen_backbone_steps,
           f'trainer.optimizer_config.optimizer.{kind}.frozen_backbone_steps '
           f'is {optimizer.frozen_backbone_steps}')
  elif epochs:
    optimizer.frozen_backbone_steps = _steps(epochs, params.task.train_data)
    _check(params, optimizer.frozen_backbone_steps, f'{_EPOCHS} is {epochs}')


def _check(params: cfg.ExperimentConfig, num_steps: int, what: str) -> None:
  """Checks that the backbone can be frozen for the first steps."""
  task = params.task
  if getattr(task, 'freeze_backbone', False):
    raise ValueError(
        f'{what}, but task.freeze_backbone is true, which freezes the backbone '
        'to the end. Set one of them.')
  if task.model.backbone.type != 'funnel_vit':
    raise ValueError(
        f'{what}, but of the backbones funnel_vit alone can be frozen at '
        f'first, and task.model.backbone.type is {task.model.backbone.type}. '
        'Set it to 0.')
  if num_steps >= params.trainer.train_steps:
    raise ValueError(
        f'{what}, but the run has {params.trainer.train_steps} steps, and the '
        f'backbone would be frozen for {num_steps}. Lower it' + (
            '; or set task.freeze_backbone=true, with which steps are quicker '
            'too.' if hasattr(task, 'freeze_backbone') else '.'))
  if not task.init_checkpoint:
    logging.warning(
        '%s, but there is no task.init_checkpoint: for %d steps the head '
        'learns on a backbone that knows nothing.', what, num_steps)


def _steps(epochs: float, data: cfg.DataConfig) -> int:
  """Returns how many steps epochs are, one at least."""
  steps_per_epoch = data.num_examples // data.global_batch_size
  if not steps_per_epoch:
    raise ValueError(
        f'{_EPOCHS} is {epochs}, but '
        f'task.train_data.num_examples is {data.num_examples} and '
        f'global_batch_size {data.global_batch_size}. Set num_examples to the '
        'number of training images (at least one batch).')
  return max(round(epochs * steps_per_epoch), 1)
