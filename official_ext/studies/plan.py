"""The trainings of a study: resolved and checked before the first one runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import functools
import hashlib
import json
import os
from typing import Any

from official.core import config_definitions as cfg
from official.core import task_factory
from official.modeling import hyperparams
import yaml

from official_ext import registry_imports  # noqa: F401
from official_ext.command_line import errors
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.optimization import runnable
from official_ext.params import experiment
from official_ext.params import overrides
from official_ext.params import tree
from official_ext.params import yaml_settings
from official_ext.studies import metrics
from official_ext.studies import row_settings
from official_ext.studies import row_warnings
from official_ext.studies import study_file
from official_ext.training import modes
from official_ext.training import teacher as teacher_lib

# Under the settings of every study: two trainings of one seed agree to the
# last bit, and nothing is exported.
_DEFAULTS = {'trainer': {'deterministic': True, 'export': {'at_end': False}}}
_NOT_OF_A_ROW = ('trainer.seed', 'trainer.derived')
# Of the fingerprint, hexadecimal digits.
_DIGITS = 16


@dataclasses.dataclass(frozen=True)
class Run:
  """One training of a study.

  Attributes:
    row: the name of its row.
    seed: its seed.
    folder: its model_dir.
    mode: 'train_and_eval' or 'eval'.
    settings: over the config files, nested by name.
    needs: the names of the trainings that it begins from.
    params: its configuration, with the seed of another training of its row.
    fingerprint: changes with any of its settings.
  """
  row: str
  seed: int
  folder: str
  mode: str
  settings: Mapping[str, Any]
  needs: tuple[str, ...]
  params: cfg.ExperimentConfig
  fingerprint: str

  @property
  def name(self) -> str:
    """Unique in the study, such as 'ViT-1'."""
    return os.path.basename(self.folder)

  @property
  def described(self) -> dict[str, Any]:
    """The sizes of its model, by the columns of the results."""
    model = self.params.task.model
    spec = specs.of_model(model)
    if spec is None:
      return {'layout': '', 'gmacs': None, 'parameters': None}
    num_classes = specs.count_classes(model)
    return {
        'layout': spec.layout_with_tokens,
        'gmacs': costs.count_multiply_adds(spec, num_classes) / 1e9,
        'parameters': costs.count_parameters(spec, num_classes)}


@dataclasses.dataclass(frozen=True)
class Plan:
  """All trainings of a study, each after those that it begins from.

  Attributes:
    study: what they are of.
    folder: of the study.
    experiment_flags: of the driver, the same for all.
    runs: the trainings.
  """
  study: study_file.Study
  folder: str
  experiment_flags: tuple[str, ...]
  runs: tuple[Run, ...]


def make(study: study_file.Study, folder: str,
         config_files: Sequence[str] = (), params_override: str = '',
         tpu: str = '') -> Plan:
  """Resolves and checks all trainings of a study; nothing runs.

  Args:
    study: the study.
    folder: where its trainings are to be.
    config_files: over those of the study: what the machine needs.
    params_override: over the settings of the study, under those of the rows.
    tpu: address of the TPU.

  Returns:
    The plan.

  Raises:
    ValueError: if a training cannot be run, naming its row.
  """
  config_files = [*study.config_files, *config_files]
  given = overrides.read(params_override) if params_override else {}
  row_settings.check_of_all_rows(given, '--params_override')
  checked: set[str] = set()
  runs: list[Run] = []
  warnings = row_warnings.RowWarnings()
  for row in _in_order(study):
    settings: dict[str, Any] = {}
    for one in (_DEFAULTS, study.settings, given, row.settings):
      row_settings.merge(settings, one)
    where = f'study {study.name}, row {row.name!r}'
    try:
      with warnings.of(row.name):
        runs += _runs_of(row, study, settings, os.path.abspath(folder),
                         config_files, tpu)
        _check(runs[-1], study.metric, checked)
        _check_teacher(runs[-1], runs)
    except ValueError as error:
      raise ValueError(f'{where}: {error}') from error
  warnings.say(len(study.rows))
  position = {name: number for number, name in enumerate(study.rows)}
  # All rows with one seed before the next: so that what there is of a study
  # that is not done can be compared.
  runs.sort(key=lambda run: (
      list(study.rows[run.row].seeds).index(run.seed), _depth(run.row, study),
      position[run.row]))
  flags = [f'--experiment={study.experiment}',
           *(f'--config_file={experiment.find_config_file(name)}'
             for name in config_files)]
  if tpu:
    flags.append(f'--tpu={tpu}')
  return Plan(study, os.path.abspath(folder), tuple(flags), tuple(runs))


def _in_order(study: study_file.Study) -> list[study_file.Row]:
  """Returns the rows, each after those that it needs."""
  return sorted(
      study.rows.values(), key=lambda row: _depth(row.name, study))


def _depth(name: str, study: study_file.Study) -> int:
  return max((_depth(other, study) + 1
              for other in study.rows[name].needs), default=0)


def _runs_of(row: study_file.Row, study: study_file.Study,
             settings: Mapping[str, Any], folder: str,
             config_files: Sequence[str], tpu: str) -> list[Run]:
  """Resolves the trainings of a row."""
  runs, params, fingerprint = [], None, ''
  base = experiment.base(study.experiment)
  for seed in row.seeds:
    folder_of = {other: os.path.join(folder, study.rows[other].folder(seed))
                 for other in row.needs}
    own = yaml_settings.with_types(
        row_settings.resolved(settings, folder_of), base)
    own['trainer']['seed'] = seed
    if params is None:
      params = experiment.load(
          study.experiment, config_files, as_yaml(own), tpu=tpu or None)
      fingerprint = _fingerprint(params, row.mode, folder_of)
    runs.append(Run(
        row.name, seed, os.path.join(folder, row.folder(seed)), row.mode, own,
        tuple(map(os.path.basename, folder_of.values())), params, fingerprint))
  return runs


def as_yaml(settings: Mapping[str, Any]) -> str:
  """Returns settings as the text of a file for `--config_file`."""
  return yaml.safe_dump(_plain(settings), sort_keys=False)


def _plain(value: Any) -> Any:
  """Returns a value with the types that YAML writes."""
  if isinstance(value, hyperparams.ParamsDict):
    value = value.as_dict()
  if isinstance(value, Mapping):
    return {str(key): _plain(below) for key, below in value.items()}
  if isinstance(value, (list, tuple)):
    return [_plain(one) for one in value]
  return str(value) if isinstance(value, str) else value


def _fingerprint(params: cfg.ExperimentConfig, mode: str,
                 folder_of: Mapping[str, str]) -> str:
  """Returns a text that changes with any setting but the seed.

  Of what is left at its default nothing is in it, so that it stays the same in
  versions that have further settings.
  """
  # What was derived follows from the rest, and that of the data from the seed.
  given = {one.setting: one.given for one in params.trainer.derived}
  values = {}
  for one in tree.walk(params):
    value = _plain(given.get(one.path, one.value))
    if (one.is_chosen and not isinstance(value, dict) and
        one.path not in _NOT_OF_A_ROW and
        value != _plain(getattr(_default(type(one.owner)), one.name, None))):
      values[one.path] = value
  text = json.dumps([mode, values], sort_keys=True)
  for other, path in folder_of.items():
    # Of one seed, and where the study is: neither is a setting of the row.
    text = text.replace(
        json.dumps(path), json.dumps({row_settings.RUN_OF: other}))
  return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


@functools.cache
def _default(group: type[hyperparams.Config]) -> hyperparams.Config:
  """Returns a group with its default values."""
  return group()


def _check(run: Run, metric: metrics.Metric, checked: set[str]) -> None:
  """Checks what the driver would refuse later.

  Args:
    run: a training.
    metric: what its evaluations must log.
    checked: the data sets that are known to be right; some may be added.
  """
  params = run.params
  task_config = params.task
  task = task_factory.get_task(task_config)
  logged = task.best_checkpoint_metrics()
  if logged is not None:
    errors.check_choice('metric', metric.name, metrics.names(logged))
  elif metric == metrics.ACCURACY:
    raise ValueError(
        'task.train_data.is_multilabel is true, but with several labels an '
        'image an evaluation has no accuracy. Set metric in the file of the '
        'study, such as to meanPR-AUC.')
  if run.mode == 'eval' and not task_config.init_checkpoint:
    raise ValueError(
        'mode is eval, but task.init_checkpoint is empty, and untrained '
        'weights are not worth an evaluation. Set it, such as to {run_of: '
        'ROW}.')
  if not modes.evaluates(run.mode) or not params.trainer.validation_interval:
    raise ValueError('trainer.validation_interval is 0: nothing is evaluated.')
  if modes.trains(run.mode):
    runnable.check_learning_rates(
        params.trainer.optimizer_config, params.trainer.train_steps)
  names = modes.data_sets(run.mode)
  task.check_files(names)
  data = json.dumps([task_config.model.num_classes, *(
      _plain(getattr(task_config, name)) for name in names)], sort_keys=True)
  if data not in checked:
    task.check_records(names)
    checked.add(data)


def _check_teacher(run: Run, runs: Sequence[Run]) -> None:
  """Compares a training with its teacher, which may be not trained yet.

  Args:
    run: a training.
    runs: those of the study that come before it.
  """
  settings = getattr(run.params.task, 'distillation', None)
  path = settings.teacher if settings else ''
  of_study = [one for one in runs if one.folder == path]
  if not of_study:
    teacher_lib.find(run.params)
    return
  try:
    teacher_lib.check_fits(of_study[0].params.task, run.params.task)
  except ValueError as error:
    raise ValueError(
        f'the teacher is row {of_study[0].row!r}: {error}') from error
