"""A run of MLflow."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import time
import types
from typing import Any

from absl import logging
import yaml

from official_ext.command_line import errors
from official_ext.command_line import extras
from official_ext.training import trackers

# MLflow's most in one call, and of a value.
_MAX_PARAMETERS = 100
_MAX_LENGTH = 6_000
_STATUS = {trackers.FINISHED: 'FINISHED', trackers.PREEMPTED: 'KILLED',
           trackers.FAILED: 'FAILED'}
# Before a training, when a person waits; MLflow itself tries for minutes.
_PATIENCE = {'MLFLOW_HTTP_REQUEST_MAX_RETRIES': '1',
             'MLFLOW_HTTP_REQUEST_TIMEOUT': '10'}


def _load(experiment: str) -> types.ModuleType:
  return extras.load('mlflow', 'mlflow', f'trainer.logging.mlflow={experiment}')


def check(experiment: str, reaches: bool) -> None:
  """Finds what would keep a training from being logged.

  Args:
    experiment: that is logged to.
    reaches: whether to ask the server too.

  Raises:
    ValueError: if the package is not installed, or the server does not answer.
  """
  mlflow = _load(experiment)
  if not reaches:
    return
  try:
    with _impatient():
      mlflow.MlflowClient().get_experiment_by_name(experiment)
  except Exception as error:
    raise ValueError(
        f'trainer.logging.mlflow={experiment}, but MLflow cannot log to '
        f'{mlflow.get_tracking_uri()}: {errors.reason(error)}. Set '
        'MLFLOW_TRACKING_URI to a server that runs, such as '
        'http://127.0.0.1:5000, or leave the setting out.') from error


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
  """Has MLflow give up soon, unless somebody says how long to try."""
  ours = {name: value for name, value in _PATIENCE.items()
          if name not in os.environ}
  os.environ.update(ours)
  try:
    yield
  finally:
    for name in ours:
      del os.environ[name]


class Mlflow(trackers.Tracker):
  """Logs to an experiment on the server of MLFLOW_TRACKING_URI."""
  name = 'MLflow'
  key = 'mlflow'

  def __init__(self, experiment: str):
    """Initialises it; nothing is sent.

    Args:
      experiment: its name; it is made if it is not there.
    """
    self._experiment = experiment
    self._mlflow = _load(experiment)
    self._client: Any = None
    self._run = ''

  def begin(self, training, known):
    server = self._mlflow.get_tracking_uri()
    with _impatient():
      self._client = self._mlflow.MlflowClient()
      place = {'experiment': self._experiment, 'server': server}
      if known and place == {name: known.get(name) for name in place}:
        self._run = self._resume(known['run'])
      self._run = self._run or self._create(training)
      self._log_settings(training)
    return {**place, 'run': self._run}

  def _resume(self, run: str) -> str:
    """Goes on with a run; returns it, or nothing if it is not there."""
    try:
      self._client.update_run(run, status='RUNNING')
    except self._mlflow.MlflowException as error:
      if error.error_code != 'RESOURCE_DOES_NOT_EXIST':
        raise
      logging.warning('MLflow has no run %s any more: a new one is begun.', run)
      return ''
    return run

  def _create(self, training: trackers.Training) -> str:
    found = self._client.get_experiment_by_name(self._experiment)
    experiment = (found.experiment_id if found else
                  self._client.create_experiment(self._experiment))
    return self._client.create_run(
        experiment, run_name=training.name).info.run_id

  def _log_settings(self, training: trackers.Training) -> None:
    """Logs all settings as a file, and those that decide as parameters."""
    self._client.log_text(
        self._run, yaml.safe_dump(dict(training.configuration),
                                  sort_keys=False),
        f'configuration/from_step_{training.step}.yaml')
    # A parameter that is there can never be changed.
    known = self._client.get_run(self._run).data.params
    new = [self._mlflow.entities.Param(name, _as_text(value)[:_MAX_LENGTH])
           for name, value in training.hyperparameters.items()
           if name not in known]
    for start in range(0, len(new), _MAX_PARAMETERS):
      self._client.log_batch(
          self._run, params=new[start:start + _MAX_PARAMETERS])

  def scalars(self, values, step):
    now = int(1_000 * time.time())
    self._client.log_batch(self._run, metrics=[
        self._mlflow.entities.Metric(name, value, now, step)
        for name, value in values.items()])

  def image(self, name, image, step):
    self._client.log_image(
        self._run, image, artifact_file=f'images/{name}/step_{step}.png')

  def end(self, how, seconds):
    self._client.set_terminated(self._run, _STATUS[how])

  def where(self):
    return f'{self._mlflow.get_tracking_uri()}, run {self._run}'


def _as_text(value: Any) -> str:
  return str(value).lower() if isinstance(value, bool) else str(value)
