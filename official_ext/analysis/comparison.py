"""What trainings reached and what they cost, in the form of Table 2.

Logged figures are those of the event files; parameters and multiply-adds are
counted from the configuration. Whatever is not known is None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import datetime
from typing import Any

import numpy as np

from official_ext.analysis import event_files
from official_ext.analysis import models as models_lib
from official_ext.analysis import runs as runs_lib
from official_ext.command_line import tables
from official_ext.evaluation import intervals
from official_ext.modeling import costs
from official_ext.modeling import specs
from official_ext.training import event_tags
from official_ext.training import goodput

MISSING = '-'
WORDS = 'text'


@dataclasses.dataclass(frozen=True)
class Result:
  """A row of the comparison, in the units that are logged.

  Attributes:
    run: the training.
    layout: with token counts, or the backbone's name.
    pooling: how tokens are pooled; None if they are not.
    train: the last top-k accuracies of the training, by k, from 0 to 1.
    validation: the last top-k accuracies of evaluations, by k, from 0 to 1.
    best: the best top-1 of an evaluation, the first if there are several.
    num_images: images that the last evaluation counted.
    parameters: how many the model has.
    multiply_adds: of one image's forward pass.
    memory_gib: largest peak that was logged, GiB.
    steps_per_second: median of the logged intervals.
    images_per_second: median of the logged intervals.
  """
  run: runs_lib.Run
  layout: str
  pooling: str | None
  train: dict[int, event_files.Point]
  validation: dict[int, event_files.Point]
  best: event_files.Point | None
  num_images: int | None
  parameters: int | None
  multiply_adds: int | None
  memory_gib: float | None
  steps_per_second: float | None
  images_per_second: float | None


@dataclasses.dataclass(frozen=True)
class Cell:
  """A cell of the table.

  Attributes:
    text: the value, MISSING if it is not known.
    delta: to the first row; empty if there is nothing to compare.
    note: what the value is to be read with, such as its step.
  """
  text: str
  delta: str = ''
  note: str = ''


@dataclasses.dataclass(frozen=True)
class Column:
  """A column of the table.

  Attributes:
    group: what its heading stands under; empty: nothing.
    heading: what is in it.
    unit: of the values; empty: none, or stated with them. One for a group.
    cell: the cell of a row, which the first row is given to as well.
    style: the class of its cells in the style sheet: WORDS where they are not
      numbers, 'steps' or none.
  """
  group: str
  heading: str
  unit: str
  cell: Callable[[Any, Any], Cell]
  style: str = ''


def summarise(run: runs_lib.Run) -> Result:
  """Takes the row of a training from what it logged and its configuration.

  Args:
    run: the training.

  Returns:
    The row.

  Raises:
    ValueError: if the layout of the configuration is wrong.
  """
  history = run.history
  spec = specs.of_model(run.params.task.model)
  pooling = parameters = multiply_adds = None
  if spec:
    num_classes = specs.count_classes(run.params.task.model)
    pooling = _pooling(spec)
    parameters = costs.count_parameters(spec, num_classes)
    multiply_adds = costs.count_multiply_adds(spec, num_classes)
  accuracies = history.validation.get(event_tags.ACCURACY)
  num_images = history.validation.get(event_tags.NUM_IMAGES)
  return Result(
      run=run,
      layout=models_lib.layout_name(run.params),
      pooling=pooling,
      train=_top_k(run, history.train),
      validation=_top_k(run, history.validation),
      best=accuracies and accuracies.best,
      num_images=num_images and int(num_images.last.value),
      parameters=parameters,
      multiply_adds=multiply_adds,
      memory_gib=_logged(run, event_tags.PEAK_MEMORY, np.max),
      steps_per_second=_logged(run, event_tags.STEPS_PER_SECOND, np.median),
      images_per_second=_logged(run, event_tags.IMAGES_PER_SECOND, np.median))


def columns(results: Sequence[Result]) -> list[Column]:
  """Returns the columns of the table, an accuracy for every k that is logged.

  Args:
    results: the rows.

  Returns:
    The columns, the name of the row first.
  """
  ks = [1, *sorted({result.run.params.task.evaluation.top_k
                    for result in results} - {1})]
  return [
      Column('', 'Model', '', lambda row, _: Cell(row.run.name), WORDS),
      Column('', 'Layout', '', lambda row, _: Cell(row.layout), WORDS),
      Column('', 'Pooling', '', lambda row, _: Cell(row.pooling or MISSING),
             WORDS),
      Column('', 'Steps', '', _steps, 'steps'),
      *(Column('Train', f'top-{k}', '%', _accuracy(
          lambda row, k=k: row.train.get(k))) for k in ks),
      *(Column('Validation', f'top-{k}', '%', _validation(k)) for k in ks),
      Column('Validation', 'best top-1', '%', _best),
      Column('', 'Parameters', 'M', lambda row, _: Cell(
          _amount(row.parameters, 1e6))),
      Column('', 'GMACs', '', _costs(
          lambda row: row.multiply_adds, lambda value: _amount(value, 1e9))),
      Column('', 'Memory', 'GiB', _costs(
          lambda row: row.memory_gib, '{:.2f}'.format)),
      Column('', 'Steps/s', '', _speed(lambda row: row.steps_per_second)),
      Column('', 'Images/s', '', _speed(lambda row: row.images_per_second)),
      Column('', 'Time', '', lambda row, _: Cell(
          _time(row.run.history.total_hours))),
  ]


def time_columns() -> list[Column]:
  """Returns the columns of the table that says where the time went.

  Returns:
    The columns, the name of the row first.
  """
  return [
      Column('', 'Model', '', lambda row, _: Cell(row.run.name), WORDS),
      Column('', 'Time', '', lambda row, _: Cell(
          MISSING if row.run.time is None else
          goodput.duration(row.run.time.total_seconds))),
      Column('', 'Starts', '', lambda row, _: Cell(
          MISSING if row.run.time is None else str(row.run.time.num_starts))),
      *(Column('Share of the time', phase, '%', _share(phase))
        for phase in (*goodput.PHASES, goodput.LOST)),
  ]


def source_columns() -> list[Column]:
  """Returns the columns of the table that says where the figures are from.

  Returns:
    The columns, the name of the row first.
  """
  return [
      Column('', 'Model', '', lambda row, _: Cell(row.run.name), WORDS),
      Column('', 'Folder', '', lambda row, _: Cell(row.run.model_dir), WORDS),
      Column('', 'Train figures of step', '', lambda row, _: Cell(
          _integer(row.train[1].step if 1 in row.train else None))),
      Column('', 'Validation figures of step', '', lambda row, _: Cell(
          _integer(row.validation[1].step if 1 in row.validation else None))),
      Column('', 'Images evaluated', '', lambda row, _: Cell(
          _integer(row.num_images))),
      Column('', 'Starts', '', lambda row, _: Cell(
          _integer(row.run.history.num_starts or None))),
      Column('', 'Newest value', '', lambda row, _: Cell(
          format_date(row.run.history.newest_time))),
  ]


def format_date(seconds: float | None) -> str:
  """Formats a time in seconds since 1970 as a date and time of day."""
  if seconds is None:
    return MISSING
  return datetime.datetime.fromtimestamp(
      seconds, datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC')


def _pooling(spec: specs.ModelSpec) -> str | None:
  """Says how a model pools, with what differs from the paper."""
  if len(spec.blocks) == 1:
    return None
  return ', '.join([
      spec.pooling,
      *(['grid'] if spec.pool_axes == 'grid' else []),
      *([] if spec.pool_query_only else ['keys too']),
      *([] if spec.attention_bias == 'none' else [spec.attention_bias])])


def _top_k(run: runs_lib.Run, logs: Mapping[str, event_files.Series]
           ) -> dict[int, event_files.Point]:
  """Returns the last accuracies, by k, of those that are logged."""
  k = run.params.task.evaluation.top_k
  tags = {k: event_tags.top_k_accuracy(k), 1: event_tags.ACCURACY}
  return {k: logs[tag].last for k, tag in tags.items() if tag in logs}


def _logged(run: runs_lib.Run, tag: str,
            function: Callable[[np.ndarray], float]) -> float | None:
  series = run.history.train.get(tag)
  return None if series is None else float(function(series.values))


def _compared(value: Callable[[Result], float | None],
              text: Callable[[float], str],
              delta: Callable[[float, float], str]
              ) -> Callable[[Result, Result], Cell]:
  """Returns the cells of a value, with its difference to the first row's."""

  def cell(row: Result, first: Result) -> Cell:
    own, reference = value(row), value(first)
    if own is None:
      return Cell(MISSING)
    return Cell(text(own), '' if row is first or reference is None
                else delta(own, reference))

  return cell


def _accuracy(point: Callable[[Result], event_files.Point | None]
              ) -> Callable[[Result, Result], Cell]:
  """Returns the cells of an accuracy; they differ by percentage points."""

  def percent(row: Result) -> float | None:
    found = point(row)
    return None if found is None else 100 * found.value

  return _compared(
      percent, '{:.2f}'.format,
      lambda own, reference: _without_minus_zero(f'{own - reference:+.2f}'))


def _validation(k: int) -> Callable[[Result, Result], Cell]:
  """Returns the cells of a top-k accuracy, with its 95 % interval."""
  accuracy = _accuracy(lambda row: row.validation.get(k))

  def cell(row: Result, first: Result) -> Cell:
    point = row.validation.get(k)
    if point is None or not row.num_images:
      return accuracy(row, first)
    interval = intervals.proportion(
        round(point.value * row.num_images), row.num_images)
    return dataclasses.replace(accuracy(row, first), note=(
        f'95\xa0%:\xa0{100 * interval.low:.2f} '
        f'to\xa0{100 * interval.high:.2f}'))

  return cell


def _best(row: Result, first: Result) -> Cell:
  cell = _accuracy(lambda row: row.best)(row, first)
  return dataclasses.replace(
      cell, note=f'at step {row.best.step}' if row.best else '')


def _costs(value: Callable[[Result], float | None],
           text: Callable[[float], str]) -> Callable[[Result, Result], Cell]:
  """Returns the cells of a cost; they differ by per cent."""
  return _compared(value, text, lambda own, reference: _without_minus_zero(
      f'{100 * (own / reference - 1):+.1f}') + ' %')


def _speed(value: Callable[[Result], float | None]
           ) -> Callable[[Result, Result], Cell]:
  """Returns the cells of a speed, with how many times as fast it is."""
  return _compared(value, tables.significant,
                   lambda own, reference: f'{own / reference:.2f}x')


def _share(phase: str) -> Callable[[Result, Result], Cell]:
  """Returns the cells of a phase, in per cent of the time of a training."""

  def cell(row: Result, _: Result) -> Cell:
    share = row.run.time and row.run.time.share(phase)
    if share is None:
      return Cell(MISSING)
    steps = row.run.time.lost_steps if phase == goodput.LOST else 0
    return Cell(f'{100 * share:.1f}', note=f'{steps} steps' if steps else '')

  return cell


def _steps(row: Result, _: Result) -> Cell:
  run = row.run
  # The space does not let a line end.
  return Cell(f'{_integer(run.history.last_step)} of\xa0{run.planned_steps}',
              note=run.shortfall)


def _without_minus_zero(text: str) -> str:
  return text.replace('-', '+') if float(text) == 0 else text


def _integer(value: int | None) -> str:
  return MISSING if value is None else str(value)


def _amount(value: int | None, unit: float) -> str:
  """Formats two decimals, and more of what is below 1."""
  if value is None:
    return MISSING
  amount = value / unit
  return f'{amount:.2f}' if amount >= 1 else f'{amount:#.3g}'


def _time(hours: float | None) -> str:
  if hours is None:
    return MISSING
  if hours < 0.05:
    return f'{tables.significant(3600 * hours)} s'
  return f'{60 * hours:.0f} min' if hours < 2 else f'{hours:.1f} h'
