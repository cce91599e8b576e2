"""From an experiment's name and overrides to its final configuration.

Order of precedence, as in Model Garden: the registered experiment, then the
`--config_file`s in order, then `--params_override`. Unknown keys are refused
with the keys that exist; then everything that is left to derive is derived.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
import dataclasses
import difflib
import functools
import os
import pathlib
from typing import Any

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.core import train_utils
from official.modeling import hyperparams
from official.vision.configs import image_classification as garden_configs
import tensorflow as tf
import yaml

from official_ext.configs import image_classification
from official_ext.configs import outputs
from official_ext.configs import semantic_segmentation
from official_ext.params import consistency
from official_ext.params import derive
from official_ext.params import derived_settings
from official_ext.params import former_settings
from official_ext.params import origins
from official_ext.params import overrides
from official_ext.params import trained_folder
from official_ext.params import without_effect
from official_ext.params import yaml_settings
from official_ext.params.fields import table

# What Model Garden writes into the folder of a training.
SAVED_FILE = 'params.yaml'

# The kinds of experiments that are ours, by their tasks.
_TASKS = (image_classification.ImageClassificationTask,
          semantic_segmentation.SemanticSegmentationTask)

# In a checkout the files stand beside the package, in an installation inside.
_PACKAGE_DIR = pathlib.Path(__file__).resolve().parent.parent
_EXPERIMENT_DIRS = (
    _PACKAGE_DIR / 'experiments', _PACKAGE_DIR.parent / 'experiments')
# Of several experiments: no --config_file.
_STUDIES = 'studies/'


def load(experiment: str,
         config_files: Sequence[str] = (),
         params_override: str = '',
         tpu: str | None = None,
         tf_data_service: str | None = None) -> cfg.ExperimentConfig:
  """Reads an experiment's configuration.

  Args:
    experiment: name of a registered experiment.
    config_files: YAML files, by path or by the name of one that is shipped; or
      folders of trainings and imports, whose models are to be begun from.
    params_override: 'key=value,...' or YAML, over the files.
    tpu: address of the TPU.
    tf_data_service: address of the tf.data service.

  Returns:
    The configuration with every derived value filled in, locked.

  Raises:
    ValueError: if a name, key or value is wrong, saying what to type instead.
  """
  return load_with_origins(
      experiment, config_files, params_override, tpu, tf_data_service)[0]


def load_with_origins(
    experiment: str,
    config_files: Sequence[str] = (),
    params_override: str = '',
    tpu: str | None = None,
    tf_data_service: str | None = None,
) -> tuple[cfg.ExperimentConfig, origins.Origins]:
  """Reads an experiment's configuration as `load`, which says what it takes.

  Returns:
    The configuration, and where its values come from.
  """
  default = base(experiment)
  file_settings = [
      _settings(*_read(name, default), default) for name in config_files]
  override = _settings(
      overrides.read(params_override) if params_override else {},
      '--params_override', default)
  params = _Parser(train_utils.ParseConfigOptions(
      experiment=experiment,
      config_file=file_settings,
      tpu=tpu,
      tf_data_service=tf_data_service or '',
      params_override=override)).parse()
  if isinstance(params.task, _TASKS):
    table.check(params)
    given = derived_settings.values(params)
    derive.resolve(params)
    consistency.check(params, default, {
        path: value for settings in (*file_settings, override)
        for path, value in consistency.flat(settings).items()})
    derive.warn_of_a_long_warmup(params.trainer)
    derived_settings.mark(params, given)
    without_effect.check(params, default)
  params.validate()
  params.lock()
  service = {'tf_data_service_address': tf_data_service}
  return params, origins.Origins(experiment, [
      *((f'--config_file={name}', settings)
        for name, settings in zip(config_files, file_settings)),
      *([('--tpu', {'runtime': {'tpu': tpu}})] if tpu else []),
      *([('--tf_data_service', {'task': {
          'train_data': service, 'validation_data': service}})]
        if tf_data_service else []),
      ('--params_override', override)])


def _read(name: str, default: cfg.ExperimentConfig
          ) -> tuple[dict[str, Any], str]:
  """Reads what a --config_file names; returns it with where it is from."""
  if tf.io.gfile.exists(os.path.join(name, SAVED_FILE)):
    return trained_folder.settings(load_saved(name), name, default), name
  path = find_config_file(name)
  found = overrides.read_file(path)
  if os.path.basename(path) == SAVED_FILE and isinstance(
      default.task, _TASKS) and not isinstance(default.task, _task_of(found)):
    raise ValueError(
        f'--config_file={name} holds all settings of a training of another '
        'kind of task. To begin from its model, give its folder: '
        f'--config_file={os.path.dirname(name) or "."}')
  return found, path


def _settings(found: dict[str, Any], source: str,
              params: cfg.ExperimentConfig) -> dict[str, Any]:
  """Brings the settings of one source up to date, and checks that they exist.

  What a training derived is taken back to what it was derived from.
  """
  settings = yaml_settings.with_types(
      former_settings.apply(found, source), params)
  settings = derived_settings.take_back(settings, source)
  overrides.check(settings, params, source)
  return settings


class _Parser(train_utils.ExperimentParser):
  """Model Garden's parser, on experiments that have our settings."""

  def base_experiment(self) -> cfg.ExperimentConfig:
    return base(self._flags_obj.experiment)


def load_saved(model_dir: str) -> cfg.ExperimentConfig:
  """Reads the configuration that a training left in its folder.

  Args:
    model_dir: folder of the training.

  Returns:
    The configuration, locked.

  Raises:
    ValueError: if there is none.
  """
  return load_saved_file(os.path.join(model_dir, SAVED_FILE))


def load_saved_file(path: str) -> cfg.ExperimentConfig:
  """Reads the configuration that a training left, wherever it is now.

  Args:
    path: a params.yaml.

  Returns:
    The configuration, locked.

  Raises:
    ValueError: if it cannot be read.
  """
  if not tf.io.gfile.exists(path) or tf.io.gfile.isdir(path):
    folder, name = os.path.split(path)
    raise ValueError(
        f'there is no {name} in {folder or "."}. Give the --model_dir of a '
        f'training, or the path of its {SAVED_FILE}.')
  settings = hyperparams.ParamsDict({})
  try:
    hyperparams.override_params_dict(settings, path, is_strict=False)
    found = former_settings.apply(settings.as_dict(), path, warns=False)
    params = cfg.ExperimentConfig(
        task=_task_of(found)(), trainer=image_classification.TrainerConfig())
    params.override(found)
  except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
        f'{path} is not the configuration of a training: {error}') from error
  params.lock()
  return params


def _task_of(settings: Mapping[str, Any]) -> type[cfg.TaskConfig]:
  """Returns the kind of task that has all the settings of a saved one."""
  saved = set(settings.get('task') or ())
  return next((kind for kind in _TASKS if saved <= {
      field.name for field in dataclasses.fields(kind)}), _TASKS[0])


def find_config_file(name: str) -> str:
  """Finds a configuration file by path, or by name among those shipped.

  Args:
    name: path of a YAML file, or the name of a shipped one, with or without
      its folder and its ending.

  Returns:
    The path of the file.

  Raises:
    ValueError: if there is none, listing those shipped.
  """
  if tf.io.gfile.exists(name) and not tf.io.gfile.isdir(name):
    return name
  shipped = shipped_config_files()
  stem = name.removesuffix('.yaml')
  matches = [path for key, path in shipped.items()
             if stem in (key, key.rsplit('/', maxsplit=1)[-1])]
  if len(matches) == 1:
    return str(matches[0])
  if matches:
    named = [key for key, path in shipped.items() if path in matches]
    raise ValueError(
        f'--config_file={name} is the name of several files: '
        f'{", ".join(named)}. Name one with its folder.')
  if tf.io.gfile.isdir(name):
    raise ValueError(
        f'--config_file={name} is a folder without {SAVED_FILE}. Name that of '
        'a training or of an import, to begin from its model; or a YAML file.')
  hint = _did_you_mean(stem, [
      *shipped, *(key.rsplit('/', maxsplit=1)[-1] for key in shipped)])
  raise ValueError(
      f'--config_file={name} is neither a file, nor the folder of a training '
      f'or of an import (is it made yet?), nor the name of one shipped.{hint} '
      f'Shipped are {", ".join(shipped) or "none"}.')


def _did_you_mean(name: str, known: Sequence[str]) -> str:
  """Returns which name may be meant, as a sentence after a space, or ''."""
  close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
  return f' Did you mean {close[0]}?' if close else ''


def shipped_config_files() -> dict[str, pathlib.Path]:
  """Returns the experiments' YAML files by name, such as 'imagenet/...'."""
  return {name: path for name, path in _shipped().items()
          if not name.startswith(_STUDIES)}


def shipped_studies() -> dict[str, pathlib.Path]:
  """Returns the YAML files of studies by name, such as 'paper_claims'."""
  return {name.removeprefix(_STUDIES): path
          for name, path in _shipped().items() if name.startswith(_STUDIES)}


def _shipped() -> dict[str, pathlib.Path]:
  for directory in _EXPERIMENT_DIRS:
    if directory.is_dir():
      return {
          str(path.relative_to(directory).with_suffix('')): path
          for path in sorted(directory.rglob('*.yaml'))}
  return {}


def base(experiment: str) -> cfg.ExperimentConfig:
  """Returns a registered experiment, on our settings.

  Model Garden's own are brought to them here, once; what they lack gets a
  value that changes nothing.
  """
  return copy.deepcopy(_built(experiment))


@functools.cache
def _built(experiment: str) -> cfg.ExperimentConfig:
  """Builds an experiment, which takes fifty times as long as to copy it."""
  try:
    params = exp_factory.get_exp_config(experiment)
  except LookupError as error:
    names = [
        *image_classification.EXPERIMENTS, semantic_segmentation.EXPERIMENT]
    raise ValueError(
        f'--experiment={experiment} is not registered.'
        f'{_did_you_mean(experiment, names)} This project registers '
        f'{", ".join(names[:-1])} and {names[-1]}; those of Model Garden can '
        'be named too.') from error
  if type(params.task) is garden_configs.ImageClassificationTask:
    data = {name: _converted(
        getattr(params.task, name), image_classification.DataConfig,
        label_offset=0) for name in ('train_data', 'validation_data')}
    params.task = _converted(
        params.task, image_classification.ImageClassificationTask, **data)
    params.trainer = _converted(
        params.trainer, image_classification.TrainerConfig,
        export=outputs.ExportConfig(at_end=False))
  return params


def _converted(config: hyperparams.Config, to: type[hyperparams.Config],
               **settings: Any) -> Any:
  """Returns a configuration as one of a class with further fields."""
  fields = {field.name: getattr(config, field.name)
            for field in dataclasses.fields(config)}
  return to(**{**fields, **settings})
