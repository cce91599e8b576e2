"""Trainings to compare by what they logged, without their checkpoints.

So a training in progress can be looked at, and is not disturbed.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import functools
import os

from official.core import config_definitions as cfg

from official_ext import registry_imports  # noqa: F401
from official_ext.analysis import command
from official_ext.analysis import event_files
from official_ext.analysis import models as models_lib
from official_ext.params import experiment
from official_ext.training import early_stopping
from official_ext.training import goodput


@dataclasses.dataclass(frozen=True)
class Run:
  """A training and what it logged.

  Attributes:
    name: unique among the trainings that were loaded together.
    model_dir: its folder.
    params: its configuration.
    history: what it logged.
    time: where its time went; None: it did not note that.
  """
  name: str
  model_dir: str
  params: cfg.ExperimentConfig
  history: event_files.History
  time: goodput.Totals | None = None

  @property
  def planned_steps(self) -> int:
    """How many steps it is to take."""
    return self.params.trainer.train_steps

  @functools.cached_property
  def is_stopped_early(self) -> bool:
    """Whether it is over before its last step."""
    step, trainer = self.history.last_step or 0, self.params.trainer
    stopping = early_stopping.EarlyStopping(
        trainer.early_stopping,
        os.path.join(self.model_dir, trainer.validation_summary_subdir))
    return step < self.planned_steps and bool(
        stopping.begin(step, trainer.validation_interval))

  @property
  def is_finished(self) -> bool:
    """Whether its last step was logged, or it has stopped early."""
    return (self.history.last_step or 0) >= self.planned_steps or (
        self.is_stopped_early)

  @property
  def shortfall(self) -> str:
    """Why its last step was not logged; empty if it was."""
    if self.is_stopped_early:
      return 'stopped early'
    return '' if self.is_finished else 'not finished'

  @property
  def progress(self) -> str:
    """The step that was logged last, of how many, and whether it is over."""
    step = self.history.last_step
    if step is None:
      return 'nothing logged yet'
    early = f', {self.shortfall}' if self.is_stopped_early else ''
    return f'step {step} of {self.planned_steps}{early}'


def load(models: Sequence[command.ModelArgument]) -> list[Run]:
  """Reads trainings that are to be compared.

  Args:
    models: their folders, and names for them.

  Returns:
    The trainings.

  Raises:
    ValueError: if one is not the folder of a training or has no event files,
      or they have different numbers of classes.
  """
  params = [experiment.load_saved(model.path) for model in models]
  names = models_lib.unique_names(models, params)
  models_lib.check_same_counts({
      name: item.task.model.num_classes for name, item in zip(names, params)})
  return [
      Run(name, model.path, item, event_files.read(
          model.path, item.trainer.validation_summary_subdir),
          goodput.read(model.path))
      for name, model, item in zip(names, models, params, strict=True)]


def tell_progress(runs: Sequence[Run]) -> None:
  """Prints how far trainings are, one per line."""
  for run in runs:
    print(f'{run.name}: {run.progress}')
