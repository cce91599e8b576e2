"""What is said about the rows of the input benchmark: table, CSV, verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import math

import numpy as np
import tensorflow as tf

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import input_rows
from official_ext.benchmarks import settings as settings_lib
from official_ext.command_line import errors

# Below this fraction of the cores, others used them or the pipeline waited.
_BUSY = 0.9


@dataclasses.dataclass(frozen=True)
class Summary:
  """The windows of a row in figures; speeds in images/s.

  Attributes: the columns of the CSV file.
    row: its name.
    images_per_second: median of the windows, as are the figures below.
    images_per_second_min: of the slowest window.
    images_per_second_max: of the fastest window.
    images_per_second_per_core: of each core that the row may use.
    cpu_ms_per_image: CPU time, over all cores.
    busy_cores: cores that were busy on average.
    first_batch_seconds: from nothing to the first batch.
    of_pipeline: speed as a fraction of the whole pipeline's in the same turn.
    num_images: counted in all windows.
    threads: size of the row's own thread pool; None for TensorFlow's.
    error: why there are no windows; empty if there are.
  """
  row: str
  images_per_second: float | None = None
  images_per_second_min: float | None = None
  images_per_second_max: float | None = None
  images_per_second_per_core: float | None = None
  cpu_ms_per_image: float | None = None
  busy_cores: float | None = None
  first_batch_seconds: float | None = None
  of_pipeline: float | None = None
  num_images: int = 0
  threads: int | None = None
  error: str = ''


def summarize(measured: input_rows.Measured, pipeline: input_rows.Measured,
              num_cores: int) -> Summary:
  """Sums a row up.

  Args:
    measured: the row.
    pipeline: the row of the whole pipeline, with as many windows.
    num_cores: CPU cores that this process may use.

  Returns:
    The figures.
  """
  row, windows = measured.row, measured.windows
  if measured.error:
    return Summary(row.name, threads=row.threads, error=measured.error)
  num_images, seconds, cpu_seconds, first_batch_seconds = np.array(
      [dataclasses.astuple(window) for window in windows]).T
  speeds = num_images / seconds
  median = np.median(speeds)
  return Summary(
      row=row.name,
      images_per_second=median,
      images_per_second_min=speeds.min(),
      images_per_second_max=speeds.max(),
      images_per_second_per_core=(
          median / min(row.threads or num_cores, num_cores)),
      cpu_ms_per_image=np.median(1e3 * cpu_seconds / num_images),
      busy_cores=np.median(cpu_seconds / seconds),
      first_batch_seconds=np.median(first_batch_seconds),
      of_pipeline=np.median(speeds / [
          window.images_per_second for window in pipeline.windows]),
      num_images=int(num_images.sum()),
      threads=row.threads)


def format_table(summaries: Sequence[Summary]) -> Iterator[str]:
  """Formats the table, line by line."""
  width = max(len(summary.row) for summary in summaries)
  yield (f'{"":{width}}{"images/s":>9}{"":16}{"per":>7}{"CPU ms":>8}'
         f'{"times":>7}{"first":>7}')
  yield (f'{"":{width}}{"median":>9}{"min":>8}{"max":>8}{"core":>7}'
         f'{"/image":>8}{"whole":>7}{"batch":>7}')
  for one in summaries:
    if one.error:
      yield f'{one.row:{width}}  does not run: {one.error}'
    else:
      yield (f'{one.row:{width}}{one.images_per_second:>9,.0f}'
             f'{one.images_per_second_min:>8,.0f}'
             f'{one.images_per_second_max:>8,.0f}'
             f'{one.images_per_second_per_core:>7,.0f}'
             f'{one.cpu_ms_per_image:>8.2f}{one.of_pipeline:>6.3g}x'
             f'{one.first_batch_seconds:>5.1f} s')


def read_consumers(path: str,
                   only: Mapping[str, str]) -> list[tuple[str, float]]:
  """Reads how many images per second models consume.

  Args:
    path: of a CSV file with the columns `layout` and `images_per_second`.
    only: values of other columns; where the file has the column, lines with
      another value are passed over.

  Returns:
    (name, images/s) of each line that has a figure: one that ran out of memory
    has none. The name is the layout, and what else tells the lines apart.

  Raises:
    ValueError: if the file is missing, or holds no such line.
  """
  try:
    with tf.io.gfile.GFile(path) as file:
      rows = csv_file.parse(file.read()).rows
  except (tf.errors.OpError, UnicodeDecodeError) as error:
    raise ValueError(
        f'--train_step_csv={path} cannot be read: {errors.reason(error)}.'
    ) from error
  lines = [line for line in rows
           if line.get('layout') and line.get('images_per_second', '').strip()
           and all(line.get(name, value) == value
                   for name, value in only.items())]
  if not lines:
    wanted = ', '.join(f'{name} {value}' for name, value in only.items())
    raise ValueError(
        f'--train_step_csv={path} has no line with the columns layout and '
        f'images_per_second for {wanted}. Or give the figure itself, such as '
        '--consumes=1000.')
  varied = [
      field.name for field in dataclasses.fields(settings_lib.Settings)
      if field.name != 'layout'
      and len({line.get(field.name) for line in lines}) > 1]
  return [(', '.join([line['layout'], *(f'{name} {line[name]}'
                                        for name in varied)]),
           _parse_speed(line['images_per_second'], path)) for line in lines]


def _parse_speed(text: str, path: str) -> float:
  try:
    speed = float(text)
  except ValueError:
    speed = math.nan
  if not 0 < speed < math.inf:
    raise ValueError(
        f'--train_step_csv={path}: images_per_second is {text!r}, but must be '
        'a number above 0, or empty.')
  return speed


def cores_needed(consumed: float, per_core: float) -> int:
  """Returns how many cores the input needs to keep up with a model.

  Args:
    consumed: images/s of the model.
    per_core: images/s of a core.

  Returns:
    The smallest number of cores that suffices, if each adds as much.
  """
  # Rounded first: 300 / 100.00000000000001 needs three cores, not four.
  return max(1, math.ceil(round(consumed / per_core, 6)))


def verdict(consumer: str, consumed: float, pipeline: Summary,
            num_cores: int) -> str:
  """Says which of input and model is the limit.

  Args:
    consumer: what the model is called.
    consumed: images/s that it takes.
    pipeline: the whole input pipeline.
    num_cores: CPU cores that it ran on.

  Returns:
    The two figures and the limit; then the cores, and how many they would be
    if the pipeline had its cores to itself and never waited.
  """
  needed = cores_needed(consumed, pipeline.images_per_second_per_core)
  compared = (
      f'{consumer} consumes {consumed:,.0f} images/s, the input gives '
      f'{pipeline.images_per_second:,.0f} on {_cores(num_cores)}')
  at = f'at {pipeline.images_per_second_per_core:,.0f} images/s per core'
  by_cpu = cores_needed(consumed, 1e3 / pipeline.cpu_ms_per_image)
  if by_cpu != needed:
    at += (f' ({by_cpu:,} at {pipeline.cpu_ms_per_image:.2f} ms of CPU time '
           'per image)')
  if consumed > pipeline.images_per_second:
    return (f'{compared}: the input is the limit. It needs {_cores(needed)} '
            f'to keep up, {at}.')
  return (f'{compared}: the model is the limit. For the input '
          f'{_cores(needed)} would do, {at}.')


def notes(summaries: Sequence[Summary], consumers: Sequence[tuple[str, float]],
          num_cores: int) -> Iterator[str]:
  """Says what the table means, line by line.

  Args:
    summaries: of all rows.
    consumers: (name, images/s) of the models that are fed.
    num_cores: CPU cores that the rows ran on.

  Yields:
    A warning if the whole pipeline had not all cores to itself, and a verdict
    for each model.
  """
  pipeline = next(one for one in summaries if one.row == input_rows.PIPELINE)
  if pipeline.busy_cores < _BUSY * num_cores:
    yield (f'note: the whole pipeline kept {pipeline.busy_cores:.1f} of '
           f'{_cores(num_cores)} busy: others used them, or it waited for its '
           'files. Compare the CPU time rather than the speed.')
  for name, consumed in consumers:
    yield verdict(name, consumed, pipeline, num_cores)


def _cores(number: int) -> str:
  return f'{number:,} core' if number == 1 else f'{number:,} cores'
