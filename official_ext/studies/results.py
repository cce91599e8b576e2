"""The results of a study: a CSV file with one line for every training.

A line is appended when its training has ended, never twice, and no line is ever
changed. One column has the name of the study's metric. Above the lines stands
what the study is:

  # study: paper_claims
  # title: The paper's claims
  # command: python -m official_ext.studies.run --study=paper_claims
  row,seed,status,...

Needs no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import csv
import dataclasses
import fcntl
import io
import math
import os
import re
from typing import Any

from official_ext.benchmarks import csv_file
from official_ext.command_line import errors
from official_ext.studies import metrics

FILE = 'results.csv'
_LOCK = '.study.lock'
FINISHED = 'finished'
DIVERGED = 'diverged'

# Of a line, before its metric and behind it. An empty cell is what is not
# known, or has no meaning there.
_BEFORE = (
    'row', 'seed', 'status', 'reason',
    # Of the model: multiply-adds of one image forward, 1e9.
    'layout', 'gmacs', 'parameters',
    # At its end.
    'step')
_BEHIND = (
    # Of the last evaluation; and the metric in all of them, as step:per cent.
    'loss', 'train_loss', 'evaluations',
    # What it took: all starts together, with what is around the steps.
    'steps_per_second', 'images_per_second', 'seconds', 'cpu_seconds',
    'peak_memory_gib', 'starts',
    # Where and with what.
    'threads', 'machine', 'versions', 'ended', 'fingerprint')

# What cells must be, if they are not empty.
_WHOLE = ('parameters', 'step', 'starts', 'threads')
_RATE = 'steps_per_second'
_NUMBER = ('gmacs', _RATE, 'images_per_second', 'seconds', 'cpu_seconds',
           'peak_memory_gib')
_IS_WHOLE = re.compile('0|[1-9][0-9]*')
_IS_FINGERPRINT = re.compile('[0-9a-f]{16}')
_REMEDY = (
    'Put the line right, or remove it: official_ext.studies.run then runs that '
    'training again, or only evaluates it where its folder holds it trained.')


@dataclasses.dataclass(frozen=True)
class Results:
  """What there is of a study.

  Attributes:
    head: the name of the study, its title and its command, by name.
    lines: the cells of each line by the name of the column, as text.
    metric: what they are compared by.
  """
  head: Mapping[str, str]
  lines: Sequence[Mapping[str, str]]
  metric: metrics.Metric = metrics.ACCURACY

  def find(self, row: str, seed: int) -> Mapping[str, str] | None:
    """Returns the line of a training; None: it has not ended yet."""
    return next((line for line in self.lines
                 if (line['row'], line['seed']) == (row, str(seed))), None)


def columns(metric: metrics.Metric) -> tuple[str, ...]:
  """Returns the names of the columns, in their order.

  Args:
    metric: of the study.
  """
  return (*_BEFORE, metric.column, *_BEHIND)


@contextlib.contextmanager
def hold(folder: str) -> Iterator[None]:
  """Keeps other processes from running the study of a folder.

  The operating system lets go of it however this process ends.

  Args:
    folder: of the study; made if it is missing.

  Yields:
    Nothing.

  Raises:
    errors.UserError: if another process runs it, or nothing can be written.
  """
  path = os.path.join(folder, _LOCK)
  try:
    os.makedirs(folder, exist_ok=True)
    file = open(path, 'a+', encoding='ascii')  # pylint: disable=consider-using-with
  except OSError as error:
    raise errors.UserError(
        f'--folder={folder} cannot be written: {error.strerror}. Choose '
        'another.') from error
  with file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      file.seek(0)
      raise errors.UserError(
          f'--folder={folder} is in use: process {file.read().strip() or "?"} '
          'runs this study. Wait for its end, stop it, or choose another '
          '--folder.') from None
    file.truncate(0)
    file.write(f'{os.getpid()}\n')
    file.flush()
    yield


def read(path: str) -> Results:
  """Reads a file of results.

  Args:
    path: of the file.

  Returns:
    What it holds; nothing if it is not there.

  Raises:
    ValueError: if it is no such file, or a line of it is not what a training
      leaves: cut off, twice there, or with a cell that its column cannot hold.
  """
  if not os.path.exists(path):
    return Results({}, [])
  lines = _text(path).split('\n')
  num_head = next((number for number, line in enumerate(lines)
                   if not line.startswith('# ')), len(lines))
  table = csv_file.parse('\n'.join(lines[:num_head + 1]))
  metric = metrics.of_column(''.join(table.columns[len(_BEFORE):][:1]))
  if 'study' not in table.head or table.columns != columns(metric):
    raise ValueError(
        f'{path} does not hold the results of a study of this version: its '
        f'columns are {", ".join(table.columns)[:200]}. Choose another '
        '--folder.')
  found, numbers = [], {}
  for number, text in enumerate(lines[num_head + 1:], num_head + 2):
    if not text.strip():
      continue
    where = f'{path}, line {number}'
    # What is behind the last end of a line may be a part of one.
    line = _parsed(text, metric, where, is_last=number == len(lines))
    training = line['row'], line['seed']
    if training in numbers:
      raise ValueError(
          f'{where}: row {line["row"]!r} with seed {line["seed"]} is in line '
          f'{numbers[training]} already, but each training has one line. '
          'Remove one of the two.')
    numbers[training] = number
    found.append(line)
  return Results(table.head, found, metric)


def _text(path: str) -> str:
  with open(path, encoding='utf-8', newline='') as file:
    try:
      return file.read()
    except UnicodeDecodeError as error:
      raise ValueError(
          f'{path} is no text in UTF-8: {error.reason} at byte {error.start}. '
          'Take it from a copy, or choose another.') from error


def _parsed(text: str, metric: metrics.Metric, where: str,
            is_last: bool) -> dict[str, str]:
  """Returns the cells of a line, which are checked.

  Args:
    text: of the line.
    metric: of the study.
    where: its file and number, for the message.
    is_last: whether nothing says that it is whole.
  """
  names = columns(metric)
  cells, = csv.reader([text.rstrip('\r')])
  line = dict(zip(names, cells))
  if len(cells) < len(names) or (
      is_last and not _IS_FINGERPRINT.fullmatch(line['fingerprint'])):
    raise ValueError(
        f'{where} is cut off in column {names[len(cells) - 1]}, {len(cells)} '
        f'of {len(names)}, after {cells[-1]!r}. {_REMEDY}')
  if len(cells) > len(names):
    raise ValueError(
        f'{where} has {len(cells)} cells, but there are {len(names)} columns: '
        f'from {cells[len(names)]!r} on it may be another line. {_REMEDY}')
  _check(line, metric, where, _REMEDY)
  return line


def _check(line: Mapping[str, str], metric: metrics.Metric, where: str,
           what_to_do: str) -> None:
  """Refuses a line whose cells its columns cannot hold."""
  wrong = _wrong(line, metric)
  if wrong:
    column, expected = wrong
    raise ValueError(f'{where}: {column} is {line[column]!r}, but must be '
                     f'{expected}. {what_to_do}')


def _wrong(line: Mapping[str, str], metric: metrics.Metric
           ) -> tuple[str, str] | None:
  """Returns the first column that is wrong, and what it must be."""
  if not line['row']:
    return 'row', 'the name of a row'
  if not _IS_WHOLE.fullmatch(line['seed']):
    return 'seed', 'a whole number such as 1'
  if line['status'] not in (FINISHED, DIVERGED):
    return 'status', f'{FINISHED} or {DIVERGED}'
  share = line[metric.column]
  if (share or line['status'] == FINISHED) and not (
      0 <= _number(share) <= 100):
    return metric.column, 'a share in per cent, from 0 to 100'
  for column in _WHOLE:
    if line[column] and not _IS_WHOLE.fullmatch(line[column]):
      return column, 'a whole number, or empty'
  for column in _NUMBER:
    if line[column] and not 0 <= _number(line[column]) < math.inf:
      return column, 'a number that is not negative, or empty'
  # The time of a step is one by it.
  if line[_RATE] and not _number(line[_RATE]) > 0:
    return _RATE, 'a number above 0, or empty'
  return None


def _number(cell: str) -> float:
  """Returns a number; of what is none, one that no comparison holds for."""
  try:
    return float(cell)
  except ValueError:
    return math.nan


def check_metric(results: Results, metric: metrics.Metric, where: str,
                 flag: str) -> None:
  """Refuses results that are compared by another metric.

  Args:
    results: what was read.
    metric: of the study.
    where: what they were read from, for the message.
    flag: what named it, such as '--folder'.

  Raises:
    ValueError: if there are any, and they are of another metric.
  """
  if results.lines and results.metric != metric:
    raise ValueError(
        f'{where} has {results.metric.column}, but the metric of the study is '
        f'{metric.name}. Choose another {flag}, or set metric: '
        f'{results.metric.name} in the file of the study.')


def begin(path: str, head: Mapping[str, str],
          metric: metrics.Metric = metrics.ACCURACY) -> None:
  """Makes the file of a study that has none yet, or one without a line.

  Args:
    path: of the file; the folder must be held by this process.
    head: the name of the study, its title and its command, by name.
    metric: of the study.
  """
  if not read(path).lines:
    text = csv_file.dump([dict.fromkeys(columns(metric))], head)
    # Without the empty line.
    _write(path, text[:text.rindex('\n', 0, -1) + 1])


def append(path: str, line: Mapping[str, Any]) -> None:
  """Adds the line of a training that has ended; the file is always whole.

  Args:
    path: of the file; the folder must be held by this process.
    line: its cells; those that it lacks are empty.

  Raises:
    ValueError: if the file has a line of this training, or could not be read
      with this one.
  """
  results = read(path)
  if results.find(line['row'], line['seed']):
    raise ValueError(
        f'{path} has a line of {line["row"]!r} with seed {line["seed"]}.')
  names = columns(results.metric)
  text = io.StringIO()
  writer = csv.DictWriter(text, names, lineterminator='\n')
  cells = {key: _cell(value) for key, value in line.items()}
  writer.writerow(cells)
  _check(
      {name: '' if cells.get(name) is None else str(cells[name])
       for name in names}, results.metric,
      f'{path}, the line of {line["row"]!r} with seed {line["seed"]}',
      'Nothing was written.')
  before = _text(path)
  # An editor may have taken the end of the last line.
  end = '' if before.endswith('\n') else '\n'
  _write(path, f'{before}{end}{text.getvalue()}')


def _write(path: str, text: str) -> None:
  unfinished = f'{path}.unfinished'
  with open(unfinished, 'w', encoding='utf-8', newline='') as file:
    file.write(text)
    file.flush()
    os.fsync(file.fileno())
  os.replace(unfinished, path)


def _cell(value: Any) -> Any:
  if isinstance(value, float):
    return f'{value:.7g}'
  return ' '.join(value.split()) if isinstance(value, str) else value
