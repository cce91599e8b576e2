"""What of the input pipeline is timed, and how.

A row is a pipeline: a stage of Model Garden's reader, or the task's whole
`build_inputs` with one setting changed. Every row is built anew for each of its
windows, and the windows of all rows take turns, so that a slow minute of the
machine meets them all alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import dataclasses
import shlex
import sys
import time
from typing import Any

from official.common import dataset_fn
from official.core import task_factory
import tensorflow as tf
import tqdm

from official_ext.benchmarks import settings as settings_lib
from official_ext.command_line import errors
from official_ext.configs import image_classification as configs
from official_ext.params import input_files
from official_ext.tasks import parsing
from official_ext.tasks import preflight

# The setting of each split, and the names of its shards.
SPLITS = {'train': ('train_data', 'train*'),
          'validation': ('validation_data', 'valid*')}

READING = 'reading the records'
DECODING = '+ JPEG decode, whole image'
PIPELINE = 'the whole pipeline'
AGAIN = 'the same again'

_RANDAUG = {
    'type': 'randaug', 'randaug': {'magnitude': 9, 'exclude_ops': ['Cutout']}}
# By setting, the values that are tried where they are not the experiment's.
_TRIED = {
    'decode_jpeg_only': {'true': True, 'false': False},
    'tf_resize_method': {
        name: name for name in ('bilinear', 'bicubic', 'area', 'nearest')},
    'dtype': {name: name for name in settings_lib.DTYPES},
    'cycle_length': {'1': 1, '10': 10, '32': 32, 'null': None},
    'block_length': {'1': 1, '16': 16},
    'prefetch_buffer_size': {'null': None, '1': 1, '8': 8},
    'deterministic': {'null': None, 'false': False},
    'cache': {'true': True, 'false': False},
}
# Without effect in evaluation. The augmentations are those of Model Garden's
# recipe for DeiT.
_TRIED_IN_TRAINING = {
    'shuffle_buffer_size': {'100': 100, '1000': 1_000, '10000': 10_000},
    'aug_type': {'null': None, 'randaug': _RANDAUG},
    'mixup_and_cutmix': {'null': None, 'on': {}},
}
SETTINGS = (*_TRIED, *_TRIED_IN_TRAINING)

# A bar that is gone after a blink tells nothing.
_QUIET_SECONDS = 3

# Files with at least so many images are counted, and fill the cache where that
# is timed: its speed does not depend on how much is in it, its memory does.
_COUNTED_IMAGES = 1_000


@dataclasses.dataclass(frozen=True)
class Row:
  """A pipeline to be timed.

  Attributes:
    name: how it is called in the table.
    settings: data settings in the place of the experiment's.
    threads: size of the thread pool of its own; None for TensorFlow's.
  """
  name: str
  settings: dict[str, Any] = dataclasses.field(default_factory=dict)
  threads: int | None = None


@dataclasses.dataclass(frozen=True)
class Window:
  """A stretch of a row's stream, after the warm-up.

  Attributes:
    num_images: counted in the batches.
    seconds: from the batch before the window to its last one.
    cpu_seconds: of the process, all its threads together.
    first_batch_seconds: from nothing to the first batch of the warm-up.
  """
  num_images: int
  seconds: float
  cpu_seconds: float
  first_batch_seconds: float

  @property
  def images_per_second(self) -> float:
    return self.num_images / self.seconds


@dataclasses.dataclass
class Measured:
  """The windows of a row, and why it has none."""
  row: Row
  windows: list[Window] = dataclasses.field(default_factory=list)
  error: str = ''


class Source:
  """A split of a data set, read as an experiment reads it.

  Attributes:
    data: the data settings of the experiment, on these files.
    files: the TFRecord files.
    num_bytes: their size.
    num_images: how many images they hold; extrapolated, if they are many.
  """

  def __init__(self, task: configs.ImageClassificationTask, data_dir: str,
               split: str, batch_size: int):
    """Finds the files and looks into their records.

    Args:
      task: the task's configuration, resolved.
      data_dir: folder of the shards.
      split: one of SPLITS.
      batch_size: images per batch.

    Raises:
      ValueError: if there are no shards, or their records do not fit the task.
    """
    name, pattern = SPLITS[split]
    input_path = input_files.in_folder(data_dir, pattern)
    try:
      self.files = sorted(input_files.match(input_path))
    except ValueError as error:
      raise ValueError(
          f'--data_dir={data_dir} holds no {split} shards ({pattern}). Make '
          'them with python -m official_ext.data_prep.imagenet_to_tfrecord '
          f'--input=IMAGES --output_dir={shlex.quote(data_dir)}, or name the '
          'folder that holds them.') from error
    config = task.replace(data_dir=data_dir, **{name: dict(
        input_path=input_path, tfds_name='', global_batch_size=batch_size)})
    preflight.check_records(config, [name])
    self.data = getattr(config, name)
    self._few_files, counted = [], 0
    for file in self.files:
      self._few_files.append(file)
      counted += self.count([file])
      if counted >= _COUNTED_IMAGES:
        break
    self.num_bytes = _size(self.files)
    self.num_images = round(
        counted * self.num_bytes / _size(self._few_files))
    self._task = task_factory.get_task(config)

  def cache_gib(self, image_size: Sequence[int]) -> float:
    """Returns the memory that all images take in a cache, GiB.

    Args:
      image_size: (height, width) of the model's images, px.
    """
    height, width = image_size
    return (self.num_images * height * width * 3 *
            tf.as_dtype(self.data.dtype).size / 2**30)

  def explain(self, error: tf.errors.OpError) -> str | None:
    """Returns what was wrong with which record, if that is what was wrong."""
    return self._task.explain(error)

  def count(self, files: Sequence[str]) -> int:
    """Returns how many records files hold; reads them all."""
    opened = dataset_fn.pick_dataset_fn(self.data.file_type)(list(files))
    return int(opened.reduce(tf.constant(0, tf.int64), lambda n, _: n + 1))

  def settings(self, row: Row) -> configs.DataConfig:
    """Returns the data settings of a row."""
    data = self.data.replace(**row.settings)
    if row.name in (READING, DECODING):
      # In evaluation no image is left out, as in the task.
      return data.replace(cache=False, drop_remainder=data.is_training)
    if row.settings.get('cache'):
      return data.replace(input_path=[
          input_files.literal(file) for file in self._few_files])
    return data

  def build(self, row: Row) -> tf.data.Dataset:
    """Builds the pipeline of a row; in evaluation, one pass follows another.

    Args:
      row: what to build.

    Returns:
      Batches without an end.
    """
    data = self.settings(row)
    if row.name in (READING, DECODING):
      dataset = parsing.InputReader(
          data,
          dataset_fn=dataset_fn.pick_dataset_fn(data.file_type),
          parser_fn=self._decode if row.name == DECODING else None).read()
    else:
      dataset = self._task.build_inputs(data)
    if row.threads:
      options = tf.data.Options()
      options.threading.private_threadpool_size = row.threads
      options.autotune.cpu_budget = row.threads
      dataset = dataset.with_options(options)
    return dataset if data.is_training else dataset.repeat()

  def _decode(self, serialized: tf.Tensor) -> tf.Tensor:
    """Returns the last pixel of an image: it takes all to be decoded."""
    key = self._task.task_config.train_data.image_field_key
    features = tf.io.parse_single_example(
        serialized, {key: tf.io.FixedLenFeature([], tf.string)})
    image = tf.io.decode_image(
        features[key], channels=3, expand_animations=False)
    return image[-1, -1]


def stages() -> list[Row]:
  """Returns the rows of reading, decoding and the whole, as it is set."""
  return [Row(READING), Row(DECODING), Row(PIPELINE), Row(AGAIN)]


def variants(data: configs.DataConfig,
             names: Sequence[str] | None = None) -> list[Row]:
  """Returns rows of the whole pipeline with one setting changed at a time.

  Args:
    data: the experiment's data settings.
    names: the settings to change; None for all.

  Returns:
    A row for each value that is not the experiment's own.

  Raises:
    ValueError: if a name is not one of SETTINGS.
  """
  for name in names or ():
    if name not in SETTINGS:
      raise ValueError(
          f'--variants: {name!r} is not varied; use {", ".join(SETTINGS)}, or '
          'leave it empty for none.')
  tried = {**_TRIED, **(_TRIED_IN_TRAINING if data.is_training else {})}
  rows = []
  for name, values in tried.items():
    if names is not None and name not in names:
      continue
    now = getattr(data, name)
    for text, value in values.items():
      # An augmentation of the experiment's own is not replaced by another.
      is_now = bool(now) if isinstance(value, dict) else value == now
      if not is_now:
        rows.append(Row(f'{name}={text}', {name: value}))
  return rows


def all_rows(data: configs.DataConfig, threads: Sequence[int],
             names: Sequence[str] | None) -> list[Row]:
  """Returns the stages, the pools of threads and the variants.

  Args:
    data: the experiment's data settings.
    threads: sizes of thread pools.
    names: the settings to change; see `variants`.

  Raises:
    ValueError: if a name is not one of SETTINGS.
  """
  pools = [Row(f'{number} thread{"s" * (number > 1)}', threads=number)
           for number in threads]
  return [*stages(), *pools, *variants(data, names)]


def turns(rows: Sequence[Any], num_windows: int) -> list[Any]:
  """Returns the order of the windows: all rows in turn, there and back."""
  there_and_back = [*rows, *reversed(rows)] * num_windows
  return there_and_back[:len(rows) * num_windows]


def measure_all(source: Source, rows: Sequence[Row], num_windows: int,
                warm_up_seconds: float, seconds: float,
                num_images: int | None = None) -> list[Measured]:
  """Times all windows of all rows, with a bar on a terminal.

  Args:
    source: the data.
    rows: what to time; one with settings of its own that fails keeps its error.
    num_windows: of each row.
    warm_up_seconds: how long to read before each window.
    seconds: length of a window; see `measure`.
    num_images: how many images a window has at least, in its place.

  Returns:
    What was measured of each row.

  Raises:
    tf.errors.OpError: if a record cannot be read or decoded.
  """
  measured = [Measured(row) for row in rows]
  order = tqdm.tqdm(
      turns(measured, num_windows), file=sys.stderr, leave=False,
      disable=not sys.stderr.isatty(), delay=_QUIET_SECONDS, unit='window',
      dynamic_ncols=True)
  for one in order:
    order.set_description(one.row.name)
    if one.error:
      continue
    try:
      one.windows.append(measure(
          source, one.row, warm_up_seconds, seconds, num_images))
    except tf.errors.OpError as error:
      if not one.row.settings:
        raise
      one.error = errors.reason(error)
  return measured


def measure(source: Source, row: Row, warm_up_seconds: float,
            seconds: float | None = None,
            num_images: int | None = None) -> Window:
  """Times one window of a row.

  Args:
    source: the data.
    row: what to time.
    warm_up_seconds: how long to read before the window.
    seconds: length of the window; or
    num_images: how many images it has at least.

  Returns:
    The window: whole batches, and at least one.

  Raises:
    tf.errors.OpError: if a record cannot be read or decoded.
  """
  data = source.settings(row)
  # A cache is full after one pass.
  least = 0
  if data.cache:
    least = source.count(input_files.match(data.input_path))
  counts = _counts(source.build(row))
  start = time.perf_counter()
  warm_up = [next(counts)]
  now = time.perf_counter()
  first_batch_seconds, start = now - start, now
  while now - start < warm_up_seconds or sum(warm_up) < least:
    warm_up.append(next(counts))
    now = time.perf_counter()
  window = []
  start, cpu_start = now, time.process_time()
  while not window or (
      now - start < seconds if num_images is None else
      sum(window) < num_images):
    window.append(next(counts))
    now = time.perf_counter()
  cpu_seconds = time.process_time() - cpu_start
  return Window(sum(window), now - start, cpu_seconds, first_batch_seconds)


def _size(files: Sequence[str]) -> int:
  """Returns the size of files together, bytes."""
  return sum(tf.io.gfile.stat(file).length for file in files)


def _counts(dataset: tf.data.Dataset) -> Iterator[int]:
  """Yields the number of images of each batch, without what fills it up."""
  for batch in dataset:
    if isinstance(batch, tuple) and isinstance(batch[1], tuple):
      _, (_, weights) = batch
      yield int(weights.numpy().sum())
    else:
      yield int(tf.nest.flatten(batch)[0].shape[0])
