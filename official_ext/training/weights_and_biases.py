"""A run of Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
import os
import shlex
import types
from typing import Any

from absl import logging

from official_ext.command_line import errors
from official_ext.command_line import extras
from official_ext.training import trackers

# Its own name for its files, in the model_dir.
FOLDER = 'wandb'
# The axis of all charts: W&B's own counts calls, and never goes back.
STEP = 'global_step'
_MODE = 'WANDB_MODE'
_OFFLINE = 'offline'
_INIT_SECONDS = 30.0
_FINISH_SECONDS = 60.0


def _load(project: str) -> types.ModuleType:
  return extras.load('wandb', 'wandb', f'trainer.logging.wandb={project}')


def check(project: str) -> None:
  """Finds what would keep a training from being logged.

  Args:
    project: that is logged to.

  Raises:
    ValueError: if the package is not installed, or nobody is logged in.
  """
  wandb = _load(project)
  if os.environ.get(_MODE, 'online') != 'online':
    return
  try:
    is_known = wandb.login(prompt=False, verify=False)
  except Exception:  # pylint: disable=broad-exception-caught
    is_known = False
  if not is_known:
    raise ValueError(
        f'trainer.logging.wandb={project}, but nobody is logged in to Weights '
        '& Biases here. Run `.venv/bin/wandb login`, or set WANDB_API_KEY; '
        'or set WANDB_MODE=offline and send the run later by `wandb sync`.')


class WeightsAndBiases(trackers.Tracker):
  """Logs to a project."""
  name = 'Weights & Biases'
  key = 'wandb'

  def __init__(self, project: str):
    """Initialises it; nothing is sent.

    Args:
      project: PROJECT or ENTITY/PROJECT.
    """
    self._project = project
    self._wandb = _load(project)
    self._run: Any = None

  def begin(self, training, known):
    entity, _, project = self._project.rpartition('/')
    run = known.get('run') if known.get('project') == self._project else None
    settings = {
        'project': project, 'entity': entity or None, 'name': training.name,
        'id': run, 'resume': 'allow' if run and not _is_offline() else None,
        'dir': _folder(training.model_dir)}
    try:
      self._run = self._init(settings, training)
    except self._wandb.errors.CommError as error:
      logging.warning(
          'Weights & Biases does not answer, so the run is kept offline; '
          '`wandb sync` sends it later: %s', errors.reason(error))
      self._run = self._init(
          {**settings, 'mode': _OFFLINE, 'resume': None}, training)
    self._run.define_metric('*', step_metric=STEP)
    return {'project': self._project, 'run': self._run.id}

  def _init(self, settings: Mapping[str, Any], training: trackers.Training
            ) -> Any:
    run = self._wandb.init(
        **{name: value for name, value in settings.items() if value},
        settings=self._wandb.Settings(
            console='off', silent=True, init_timeout=_INIT_SECONDS,
            finish_timeout=_FINISH_SECONDS, finish_timeout_raises=False))
    run.config.update(dict(training.configuration), allow_val_change=True)
    return run

  def scalars(self, values, step):
    self._run.log({**values, STEP: step})

  def image(self, name, image, step):
    self._run.log({name: self._wandb.Image(image), STEP: step})

  def end(self, how, seconds):
    if how == trackers.PREEMPTED:
      self._run.mark_preempting()
    self._run.finish(exit_code=0 if how == trackers.FINISHED else 1)

  def where(self):
    return self._run.url or (
        f'wandb sync {shlex.quote(self._run.settings.sync_dir)}')


def _is_offline() -> bool:
  return os.environ.get(_MODE) == _OFFLINE


def _folder(model_dir: str) -> str | None:
  """Returns the folder of W&B's own files; None: it chooses."""
  if '://' in model_dir or os.environ.get('WANDB_DIR'):
    return None
  return model_dir
