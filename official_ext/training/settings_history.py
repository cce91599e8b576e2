"""The configurations that a training had, and from which step on.

Beside params.yaml, which is the newest, `params_history` keeps each of them as
`from_step_660.yaml`. A checkpoint of step 700 was trained with the last that
begins before it, whatever was typed, or edited into params.yaml, since.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import os
import re
from typing import Any

from official.core import config_definitions as cfg
from official.core import train_utils
from official.modeling import hyperparams
import tensorflow as tf

from official_ext.params import consistency
from official_ext.params import experiment
from official_ext.params import former_settings

FOLDER = 'params_history'
_NAME = re.compile(r'from_step_(\d+)\.yaml')
# What is left of a training that went back to an earlier checkpoint.
_SUPERSEDED = '.superseded'


@dataclasses.dataclass(frozen=True)
class Former:
  """A configuration that a training had.

  Attributes:
    path: of the file.
    params: the configuration; what the file lacks has its default there.
    settings: what the file says, nested by name: an earlier version wrote less.
  """
  path: str
  params: cfg.ExperimentConfig
  settings: Mapping[str, Any]

  @property
  def paths(self) -> set[str]:
    """The settings that the file has."""
    return set(consistency.flat(self.settings))


def read(model_dir: str, step: int) -> Former | None:
  """Reads the configuration that a checkpoint was trained with.

  Args:
    model_dir: folder of the training.
    step: of the checkpoint.

  Returns:
    The configuration; None if the folder has none.

  Raises:
    ValueError: if the file cannot be read.
  """
  path = _file_of(model_dir, step) or os.path.join(
      model_dir, experiment.SAVED_FILE)
  if not tf.io.gfile.exists(path):
    return None
  try:
    params = experiment.load_saved_file(path)
    settings = hyperparams.ParamsDict({})
    hyperparams.override_params_dict(settings, path, is_strict=False)
  except ValueError as error:
    raise ValueError(
        f'{path} cannot be read, so it is not known with which settings the '
        f'checkpoint of step {step} was trained. Delete the file, and none are '
        f'compared: {" ".join(str(error).split())}') from error
  return Former(path, params, former_settings.apply(
      settings.as_dict(), path, warns=False))


def save(params: cfg.ExperimentConfig, model_dir: str, step: int) -> None:
  """Writes the configuration that a training goes on with.

  Args:
    params: the configuration.
    model_dir: folder of the training.
    step: the training goes on from there; 0 if it begins.
  """
  newest = os.path.join(model_dir, experiment.SAVED_FILE)
  tf.io.gfile.makedirs(os.path.join(model_dir, FOLDER))
  if step and not _files(model_dir) and tf.io.gfile.exists(newest):
    # A former version kept the newest alone.
    tf.io.gfile.copy(newest, _path(model_dir, 0), overwrite=True)
  for number, path in _files(model_dir).items():
    if number > step:
      tf.io.gfile.rename(path, f'{path}{_SUPERSEDED}', overwrite=True)
  path = _path(model_dir, step)
  written = f'{path}.new'
  hyperparams.save_params_dict_to_yaml(params, written)
  former = _file_of(model_dir, step)
  if former and _text(former) == _text(written):
    tf.io.gfile.remove(written)
  else:
    tf.io.gfile.rename(written, path, overwrite=True)
  train_utils.serialize_config(params, model_dir)


def _file_of(model_dir: str, step: int) -> str | None:
  """Returns the file of the configuration that trained the step `step`."""
  files = {number: path for number, path in _files(model_dir).items()
           if number < step}
  return files[max(files)] if files else None


def _files(model_dir: str) -> dict[int, str]:
  """Returns the files by the step that each begins at."""
  folder = os.path.join(model_dir, FOLDER)
  if not tf.io.gfile.isdir(folder):
    return {}
  return {int(match[1]): os.path.join(folder, match[0])
          for match in map(_NAME.fullmatch, tf.io.gfile.listdir(folder))
          if match}


def _path(model_dir: str, step: int) -> str:
  return os.path.join(model_dir, FOLDER, f'from_step_{step}.yaml')


def _text(path: str) -> str:
  with tf.io.gfile.GFile(path) as file:
    return file.read()
