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
import os
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
    ValueError: if it is no such file.
  """
  if not os.path.exists(path):
    return Results({}, [])
  table = csv_file.read(path)
  metric = metrics.of_column(''.join(table.columns[len(_BEFORE):][:1]))
  if 'study' not in table.head or table.columns != columns(metric):
    raise ValueError(
        f'{path} does not hold the results of a study of this version: its '
        f'columns are {", ".join(table.columns)[:200]}. Choose another '
        '--folder.')
  return Results(table.head, table.rows, metric)


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
    ValueError: if the file has a line of this training.
  """
  results = read(path)
  if results.find(line['row'], line['seed']):
    raise ValueError(
        f'{path} has a line of {line["row"]!r} with seed {line["seed"]}.')
  with open(path, encoding='utf-8', newline='') as file:
    before = file.read()
  text = io.StringIO()
  csv.DictWriter(
      text, columns(results.metric), lineterminator='\n').writerow({
          key: _cell(value) for key, value in line.items()})
  _write(path, before + text.getvalue())


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
