"""Model Garden's keeper of the best checkpoint, which tells of a new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import os
from typing import Any

from official.core import config_definitions as cfg
from official.core import train_utils

from official_ext.command_line import errors


class BestCheckpointExporter(train_utils.BestCheckpointExporter):
  """Keeps the best checkpoint, and calls a function after each new one."""

  def __init__(self, *args: Any, on_best: Callable[[], None] | None,
               **kwargs: Any):
    """Initialises the keeper.

    Args:
      *args: of Model Garden's.
      on_best: what to call once a new best checkpoint is written.
      **kwargs: of Model Garden's.
    """
    super().__init__(*args, **kwargs)
    self._on_best = on_best

  def maybe_export_checkpoint(self, *args: Any, **kwargs: Any) -> bool:
    is_best = super().maybe_export_checkpoint(*args, **kwargs)
    if is_best and self._on_best:
      self._on_best()
    return is_best


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


def create(params: cfg.ExperimentConfig, model_dir: str,
           on_best: Callable[[], None] | None) -> BestCheckpointExporter | None:
  """Creates the keeper, if the configuration asks for one.

  Args:
    params: the experiment's configuration.
    model_dir: folder of the training.
    on_best: what to call once a new best checkpoint is written.

  Returns:
    The keeper, or None.
  """
  trainer = params.trainer
  if not (trainer.best_checkpoint_export_subdir and
          trainer.best_checkpoint_eval_metric):
    return None
  return BestCheckpointExporter(
      os.path.join(model_dir, trainer.best_checkpoint_export_subdir),
      trainer.best_checkpoint_eval_metric,
      trainer.best_checkpoint_metric_comp, on_best=on_best)
