"""What a study is of, read from its YAML file.

  title: Mean pooling beside max pooling
  experiment: funnel_vit_digits
  metric: accuracy
  params_override:
    trainer.train_epochs: 30
  seeds: [1, 2, 3]
  baseline: ViT
  rows:
    ViT:
      params_override: {task.model.backbone.funnel_vit.layout: B6}
    mean:
      params_override: {task.model.backbone.funnel_vit.layout: B3-3}
  claims:
  - claim: Two blocks lose at most a point.
    row: mean
    above: -1

Settings are named by their paths or nested, as in a `--config_file`. The value
`{run_of: ViT}` is the folder of that row's training of the same seed, for
`task.init_checkpoint` or `task.distillation.teacher`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import difflib
import os
import re
from typing import Any

from official_ext.params import experiment
from official_ext.params import overrides
from official_ext.studies import metrics

# How a setting refers to the training of another row.
RUN_OF = 'run_of'
MODES = ('train_and_eval', 'eval')
_SEED = 'trainer.seed'
_NOT_IN_A_FOLDER = re.compile(r'[^\w.+-]+')


@dataclasses.dataclass(frozen=True)
class Row:
  """Trainings that differ only in their seeds.

  Attributes:
    name: unique in the study.
    settings: over those of the study, nested by name; those of its own config
      files are among them.
    seeds: one training for each.
    mode: 'train_and_eval'; or 'eval', which only evaluates what
      `task.init_checkpoint` names.
    note: what the row is, for the report.
  """
  name: str
  settings: Mapping[str, Any]
  seeds: tuple[int, ...]
  mode: str = 'train_and_eval'
  note: str = ''

  @property
  def needs(self) -> list[str]:
    """The rows whose trainings the settings refer to."""
    return list(dict.fromkeys(_references(self.settings)))

  def folder(self, seed: int) -> str:
    """Returns the name of the folder of a training."""
    return f'{_NOT_IN_A_FOLDER.sub("_", self.name)}-{seed}'


@dataclasses.dataclass(frozen=True)
class Claim:
  """What is said of the difference between two rows, in points.

  Attributes:
    text: the claim in words.
    row: whose metric.
    against: less whose.
    above: is more than so many points; None: the claim has no such bound.
    below: is less than so many points; one of the two bounds is set.
  """
  text: str
  row: str
  against: str
  above: float | None = None
  below: float | None = None


@dataclasses.dataclass(frozen=True)
class Study:
  """A study as its file says it.

  Attributes:
    name: of the file, without its folder and ending.
    title: in words.
    note: what else there is to say, for the report.
    experiment: the registered experiment that all trainings are of.
    config_files: over it.
    settings: over these, nested by name.
    baseline: the row that the others are compared with.
    rows: by their names, in the order of the file.
    claims: what the study is to decide.
    metric: what trainings are compared by.
  """
  name: str
  title: str
  note: str
  experiment: str
  config_files: tuple[str, ...]
  settings: Mapping[str, Any]
  baseline: str
  rows: Mapping[str, Row]
  claims: tuple[Claim, ...]
  metric: metrics.Metric = metrics.ACCURACY


def read(name: str) -> Study:
  """Reads a study.

  Args:
    name: path of its YAML file, or the name of one that is shipped, such as
      'paper_claims'.

  Returns:
    The study; whether its settings can be run, `plan` finds out.

  Raises:
    ValueError: if the file does not say what a study is, naming the field.
  """
  path = _find(name)
  found = overrides.read_file(path)
  _check_fields(found, path, 'a study', _STUDY, required=(
      'title', 'experiment', 'seeds', 'baseline', 'rows'))
  seeds = _seeds(found['seeds'], f'{path}: seeds')
  if not isinstance(found['rows'], Mapping):
    raise ValueError(
        f'{path}: rows must hold rows by their names, such as {{ViT: '
        f'{{params_override: ...}}}}, but is {found["rows"]!r:.60}.')
  rows = {str(key): _row(str(key), value, seeds, path)
          for key, value in found['rows'].items()}
  _check_rows(rows, path)
  baseline = _name_of_row(found['baseline'], rows, f'{path}: baseline')
  claims = found.get('claims', [])
  if not isinstance(claims, Sequence) or isinstance(claims, str):
    raise ValueError(f'{path}: claims must be a list, but is {claims!r:.60}.')
  return Study(
      name=os.path.splitext(os.path.basename(path))[0],
      title=str(found['title']).strip(),
      note=str(found.get('note', '')).strip(),
      experiment=str(found['experiment']),
      config_files=_config_files(found, path),
      settings=_settings(found.get('params_override', {}), path),
      baseline=baseline, rows=rows,
      claims=tuple(_claim(one, number, baseline, rows, path)
                   for number, one in enumerate(claims, start=1)),
      metric=metrics.Metric(str(found.get('metric', metrics.ACCURACY.name))))


_STUDY = ('title', 'note', 'experiment', 'config_files', 'params_override',
          'metric', 'seeds', 'baseline', 'rows', 'claims')
_ROW = ('config_files', 'params_override', 'seeds', 'mode', 'note')
_CLAIM = ('claim', 'row', 'against', 'above', 'below')


def _find(name: str) -> str:
  """Returns the path of a study that is named by path or by name."""
  if os.path.isfile(name):
    return name
  shipped = experiment.shipped_studies()
  if name in shipped:
    return str(shipped[name])
  raise ValueError(
      f'--study={name} is neither a file nor the name of a study that is '
      f'shipped: {", ".join(shipped)}.')


def _check_fields(found: Any, where: str, what: str, known: Sequence[str],
                  required: Sequence[str]) -> None:
  if not isinstance(found, Mapping):
    raise ValueError(
        f'{where} must hold the fields of {what} ({", ".join(known)}), but is '
        f'{found!r:.60}.')
  for field in found:
    if field not in known:
      close = difflib.get_close_matches(str(field), known, n=1)
      hint = f' Did you mean {close[0]}?' if close else ''
      raise ValueError(
          f'{where}: {what} has no field {field}.{hint} Its fields are '
          f'{", ".join(known)}.')
  for field in required:
    if found.get(field) in (None, '', [], {}):
      raise ValueError(f'{where} lacks {field}, which {what} needs.')


def _seeds(found: Any, where: str) -> tuple[int, ...]:
  if (not isinstance(found, (list, tuple)) or not found or
      not all(type(seed) is int and seed >= 0 for seed in found)):
    raise ValueError(
        f'{where} must be a list of whole numbers, such as [1, 2, 3], but is '
        f'{found!r:.60}.')
  if len(set(found)) < len(found):
    raise ValueError(f'{where} is {found}, but names a seed twice.')
  return tuple(found)


def _config_files(found: Mapping[str, Any], where: str) -> tuple[str, ...]:
  """Returns the names of config files that a study or a row names."""
  names = found.get('config_files', [])
  if not isinstance(names, Sequence) or isinstance(names, str):
    raise ValueError(
        f'{where}: config_files must be a list of files or of names of shipped '
        f'ones, such as [cifar10/small], but is {names!r:.60}.')
  return tuple(map(str, names))


def _read_config_file(name: str, where: str) -> dict[str, Any]:
  try:
    return overrides.read_file(experiment.find_config_file(name))
  except ValueError as error:
    raise ValueError(f'{where}: config_files: {error}') from error


def _row(name: str, found: Any, seeds: tuple[int, ...], path: str) -> Row:
  where = f'{path}: rows.{name}'
  _check_fields({} if found is None else found, where, 'a row', _ROW, ())
  found = found or {}
  mode = found.get('mode', MODES[0])
  if mode not in MODES:
    raise ValueError(
        f'{where}: mode is {mode!r}, but must be one of {", ".join(MODES)}.')
  settings: dict[str, Any] = {}
  for file in _config_files(found, where):
    merge(settings, _settings(_read_config_file(file, where), file))
  merge(settings, _settings(found.get('params_override', {}), where))
  return Row(
      name, settings,
      _seeds(found['seeds'], f'{where}.seeds') if 'seeds' in found else seeds,
      str(mode), str(found.get('note', '')).strip())


def _check_rows(rows: Mapping[str, Row], path: str) -> None:
  """Checks what rows must be together."""
  folders: dict[str, str] = {}
  for row in rows.values():
    folder = row.folder(0).lower()
    if folder in folders:
      raise ValueError(
          f'{path}: rows {folders[folder]!r} and {row.name!r} would have one '
          'folder. Name one of them otherwise.')
    folders[folder] = row.name
    for other in row.needs:
      _name_of_row(other, rows, f'{path}: rows.{row.name}: {RUN_OF}')
      missing = sorted(set(row.seeds) - set(rows[other].seeds))
      if missing:
        raise ValueError(
            f'{path}: row {row.name!r} has the seeds {list(row.seeds)}, but '
            f'row {other!r}, which it begins from, lacks {missing}.')
  for row in rows.values():
    _check_order(row, rows, (), path)


def _check_order(row: Row, rows: Mapping[str, Row], above: tuple[str, ...],
                 path: str) -> None:
  if row.name in above:
    raise ValueError(
        f'{path}: row {row.name!r} begins from its own training: '
        f'{" of ".join((*above, row.name))}.')
  for other in row.needs:
    _check_order(rows[other], rows, (*above, row.name), path)


def _name_of_row(name: Any, rows: Collection[str], where: str) -> str:
  if str(name) not in rows:
    raise ValueError(
        f'{where} is {str(name)!r}, but there is no such row. The rows are '
        f'{", ".join(map(repr, rows))}.')
  return str(name)


def _claim(found: Any, number: int, baseline: str, rows: Mapping[str, Row],
           path: str) -> Claim:
  where = f'{path}: claim {number}'
  _check_fields(found, where, 'a claim', _CLAIM, ('claim', 'row'))
  bounds = [name for name in ('above', 'below') if name in found]
  if len(bounds) != 1 or not isinstance(found[bounds[0]], (int, float)):
    raise ValueError(
        f'{where} needs one bound in points: above: 0 says that the row is '
        'better, below: 0 that it is worse, above: -1 that it loses at most '
        'one point.')
  row = _name_of_row(found['row'], rows, f'{where}: row')
  against = _name_of_row(
      found.get('against', baseline), rows, f'{where}: against')
  if row == against:
    raise ValueError(f'{where} compares row {row!r} with itself.')
  return Claim(' '.join(str(found['claim']).split()), row, against,
               **{bounds[0]: float(found[bounds[0]])})


def _settings(found: Any, where: str) -> dict[str, Any]:
  """Returns settings nested by name that are given so, by paths or as text."""
  if isinstance(found, str):
    found = overrides.read(found, where)
  if not isinstance(found, Mapping):
    raise ValueError(
        f'{where}: params_override must hold settings, such as {{'
        f'trainer.train_epochs: 10}}, but is {found!r:.60}.')
  nested: dict[str, Any] = {}
  for key, value in found.items():
    for part in reversed(str(key).split('.')):
      value = {part: value}
    merge(nested, value, where)
  if _has(nested, _SEED):
    raise ValueError(
        f'{where}: {_SEED} is set, but is that of each training. Name the '
        'seeds in the field seeds.')
  return nested


def merge(settings: dict[str, Any], over: Mapping[str, Any],
          where: str | None = None) -> None:
  """Puts settings over others.

  Args:
    settings: nested by name; they are changed.
    over: what wins.
    where: what both are of, for the message; None: the same setting may be in
      both.

  Raises:
    ValueError: if `where` is given and a setting is in both.
  """
  for key, value in over.items():
    below = settings.get(key)
    if isinstance(below, dict) and isinstance(value, Mapping):
      merge(below, value, where)
    elif key in settings and where is not None:
      raise ValueError(f'{where}: params_override sets {key} twice.')
    else:
      settings[key] = _copy(value)


def _copy(value: Any) -> Any:
  if isinstance(value, Mapping):
    return {key: _copy(below) for key, below in value.items()}
  return value


def resolved(settings: Any, folder_of: Mapping[str, str]) -> Any:
  """Returns settings with every `run_of` as a folder.

  Args:
    settings: nested by name.
    folder_of: the folders by the names of the rows.
  """
  if isinstance(settings, Mapping):
    if set(settings) == {RUN_OF}:
      return folder_of[str(settings[RUN_OF])]
    return {key: resolved(value, folder_of) for key, value in settings.items()}
  return settings


def _references(settings: Any) -> list[str]:
  if not isinstance(settings, Mapping):
    return []
  if set(settings) == {RUN_OF}:
    return [str(settings[RUN_OF])]
  return [name for value in settings.values() for name in _references(value)]


def _has(settings: Mapping[str, Any], path: str) -> bool:
  for part in path.split('.'):
    if not isinstance(settings, Mapping) or part not in settings:
      return False
    settings = settings[part]
  return True
