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
import math
import os
import re
from typing import Any

from official_ext.params import experiment
from official_ext.params import overrides
from official_ext.studies import metrics
from official_ext.studies import row_settings

MODES = ('train_and_eval', 'eval')
# Of a row, whose name is that of folders and files: characters and, of these,
# bytes. File systems take 255 of them, seed and ending included.
_MAX_NAME, _MAX_BYTES = 100, 200
_NOT_IN_A_FOLDER = re.compile(r'[^\w.+-]+')
# What TensorFlow draws from.
_MAX_SEED = 2**31 - 1


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
    return list(dict.fromkeys(row_settings.references(self.settings)))

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
  if not isinstance(found['title'], str):
    raise ValueError(
        f'{path}: title must be text, but is {found["title"]!r:.60}.')
  settings = row_settings.read(found.get('params_override', {}), path)
  row_settings.check_of_all_rows(settings, f'{path}: params_override')
  claims = found.get('claims', [])
  if not isinstance(claims, Sequence) or isinstance(claims, str):
    raise ValueError(f'{path}: claims must be a list, but is {claims!r:.60}.')
  return Study(
      name=os.path.splitext(os.path.basename(path))[0],
      title=found['title'].strip(),
      note=str(found.get('note', '')).strip(),
      experiment=str(found['experiment']),
      config_files=_config_files(found, path),
      settings=settings, baseline=baseline, rows=rows,
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
      not all(type(seed) is int and 0 <= seed <= _MAX_SEED
              for seed in found)):
    raise ValueError(
        f'{where} must be a list of whole numbers from 0 to {_MAX_SEED}, such '
        f'as [1, 2, 3], but is {found!r:.60}.')
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
    row_settings.merge(
        settings, row_settings.read(_read_config_file(file, where), file))
  row_settings.merge(
      settings, row_settings.read(found.get('params_override', {}), where))
  return Row(
      name, settings,
      _seeds(found['seeds'], f'{where}.seeds') if 'seeds' in found else seeds,
      str(mode), str(found.get('note', '')).strip())


def _check_name(name: str, path: str) -> None:
  """Checks that folders, results and tables can hold the name of a row."""
  if not 0 < len(name) <= _MAX_NAME:
    raise ValueError(
        f'{path}: the name of a row has 1 to {_MAX_NAME} characters, but '
        f'{name!r:.40} has {len(name)}.')
  num_bytes = len(name.encode())
  if num_bytes > _MAX_BYTES:
    raise ValueError(
        f'{path}: the name of a row has at most {_MAX_BYTES} bytes as UTF-8, '
        f'since files are named by it, but {name!r:.40} has {num_bytes}.')
  plain = ' '.join(''.join(
      letter if letter.isprintable() else ' ' for letter in name).split())
  if name != plain:
    raise ValueError(
        f'{path}: the name of a row has no blanks but single spaces between '
        f'words, but {name!r:.80} has others. Name it {plain!r:.80}.')


def _check_rows(rows: Mapping[str, Row], path: str) -> None:
  """Checks what rows must be together."""
  folders: dict[str, str] = {}
  for row in rows.values():
    _check_name(row.name, path)
    folder = row.folder(0).lower()
    if folder in folders:
      raise ValueError(
          f'{path}: rows {folders[folder]!r} and {row.name!r} would have one '
          'folder. Name one of them otherwise.')
    folders[folder] = row.name
    for other in row.needs:
      where = f'{path}: rows.{row.name}: {row_settings.RUN_OF}'
      _name_of_row(other, rows, where)
      if rows[other].mode == 'eval':
        raise ValueError(
            f'{where} is {other!r}, which is evaluated only (mode: eval) and '
            'leaves no checkpoint. Name the row that it begins from.')
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
  if len(bounds) != 1 or not _is_finite(found[bounds[0]]):
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


def _is_finite(value: Any) -> bool:
  return type(value) in (int, float) and math.isfinite(value)
