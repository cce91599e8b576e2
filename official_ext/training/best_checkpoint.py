"""What is asked of the best checkpoint, checked before the training."""

from __future__ import annotations

from collections.abc import Sequence

from official.core import config_definitions as cfg

from official_ext.command_line import errors


def check(params: cfg.ExperimentConfig,
          metrics: Sequence[str] | None) -> None:
  """Finds settings of the best checkpoint that would fail after an epoch.

  Args:
    params: the experiment's configuration.
    metrics: what can decide on it; None: that is not known yet.

  Raises:
    ValueError: naming the setting and what to type instead.
  """
  trainer = params.trainer
  subdir = trainer.best_checkpoint_export_subdir
  metric = trainer.best_checkpoint_eval_metric
  if trainer.export.at_best and not (subdir and metric):
    raise ValueError(
        'trainer.export.at_best exports the best checkpoint, but none is kept. '
        'Set trainer.best_checkpoint_export_subdir=best and '
        'trainer.best_checkpoint_eval_metric=accuracy.')
  if bool(subdir) != bool(metric):
    raise ValueError(
        f'trainer.best_checkpoint_export_subdir is {subdir!r} and '
        f'best_checkpoint_eval_metric {metric!r}, but a best checkpoint needs '
        'both. Set them, to best and accuracy for example, or neither.')
  if not subdir:
    return
  errors.check_choice(
      'trainer.best_checkpoint_metric_comp',
      trainer.best_checkpoint_metric_comp, ('higher', 'lower'))
  if metrics is not None:
    errors.check_choice(
        'trainer.best_checkpoint_eval_metric', metric, metrics)
