"""Training images in an order of their own, on Model Garden's input pipeline.

Model Garden's reader shuffles files and records as they come: another start
reads other images, and none goes on where it was. Here it gets the records in
the order of `record_order`, each with the number of the image in the training,
and keeps that order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import functools
import random
import types
from typing import Any

from absl import logging
from official.common import dataset_fn
import tensorflow as tf

from official_ext.configs import image_classification as configs
from official_ext.params import input_files
from official_ext.tasks import record_counts
from official_ext.tasks import record_order

# In the features of a record: the number of the image in the training.
_NUMBER = '_number'

Features = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Start:
  """Where a training begins in its data.

  Attributes:
    seed: of all that is random in the data.
    order: of the images; None: that of the data themselves.
    position: how many images are trained on already, over all workers.
    files: which the order is of: those that were counted, whatever lies beside
      them by now.
  """
  seed: int
  order: record_order.RecordOrder | None
  position: int = 0
  files: tuple[str, ...] = ()

  @property
  def described(self) -> dict[str, int]:
    """What the images depend on, as values of JSON."""
    return {'seed': self.seed,
            **(record_order.describe(self.order) if self.order else {})}


@dataclasses.dataclass(frozen=True)
class Reading:
  """What Model Garden's reader is given.

  Attributes:
    data: the data settings; where there is a `dataset`, without those that
      would change its order.
    dataset: the records; None: the reader reads them itself.
    decode: makes the features of what is read.
    sample: what becomes of the features before they are parsed.
    transform_and_batch: what becomes of them afterwards; None: batches.
  """
  data: configs.DataConfig
  dataset: tf.data.Dataset | None
  decode: Callable[..., Features]
  sample: Callable[[tf.data.Dataset], tf.data.Dataset]
  transform_and_batch: Callable[..., tf.data.Dataset] | None = None


def count(data: configs.DataConfig, folder: str = ''
          ) -> record_counts.Counts | None:
  """Counts the records of data that can be put in order.

  Args:
    data: the data settings.
    folder: of the training, which may know them already; empty: there is none.

  Returns:
    The counts; None for TFDS and the tf.data service.
  """
  if data.tfds_name or data.enable_tf_data_service:
    return None
  return record_counts.count(
      input_files.match(data.input_path), data.file_type, folder)


def enter(data: configs.DataConfig, position: int = 0,
          known: Mapping[str, Any] = types.MappingProxyType({}),
          num_workers: int = 1,
          counts: record_counts.Counts | None = None,
          sampling: record_order.Sampling | None = None) -> Start:
  """Finds where a training begins; says where that is not exact.

  Args:
    data: the data settings.
    position: how many images are trained on already, over all workers.
    known: `Start.described` until now; empty: there is none.
    num_workers: how many workers share the images.
    counts: what `count` returns; None: they are counted now.
    sampling: of classes; None: every record comes once in an epoch.

  Returns:
    Where to begin.
  """
  seed = data.seed
  if 'seed' in known:
    if seed not in (None, known['seed']):
      logging.warning(
          'task.train_data.seed is %s, but the images keep the order of seed '
          '%s that the training began with.', seed, known['seed'])
    seed = known['seed']
  if seed is None:
    seed = random.getrandbits(32)
  counts = counts or count(data)
  if counts is None:
    source = 'TFDS' if data.tfds_name else 'the tf.data service'
    what = ('The epoch begins anew: of its images, some are seen twice and '
            'some not.' if position else
            'A run that is interrupted begins its epoch anew.')
    logging.warning('task.train_data: %s has no order that can be entered. %s',
                    source, what)
    return Start(seed, None, position)
  if sampling:
    order = record_order.choose_sampled(counts.numbers, seed, sampling)
  elif data.cache:
    # Permuted as a whole, a part of its own on each worker.
    order = record_order.RecordOrder(
        counts.numbers, seed, num_lanes=num_workers, block_size=0)
  else:
    order = record_order.choose(
        counts.numbers, seed, data.shuffle_buffer_size, num_workers,
        known.get('num_lanes'))
  start = Start(seed, order, position, counts.files)
  if known and known != start.described:
    differences = ', '.join(
        f'{name} {known.get(name)} -> {value}'
        for name, value in start.described.items() if known.get(name) != value)
    logging.warning(
        'task.train_data: the order of the images has changed (%s). What is '
        'left of this epoch may repeat images and leave out others.',
        differences)
  return start


def read(data: configs.DataConfig, decode: Callable[[Any], Features],
         start: Start, context: tf.distribute.InputContext,
         copies: Mapping[str, str] = types.MappingProxyType({})) -> Reading:
  """Puts the records of a training in order.

  TFDS and the tf.data service have an order of their own.

  Args:
    data: the data settings.
    decode: makes the features of a serialized record.
    start: where to begin.
    context: which share of the data this worker reads.
    copies: which files to read in the place of others.

  Returns:
    What Model Garden's reader is given; the features have a number each, for
    `parse_numbered`.
  """
  repeats = data.repeated_augment or 1
  num_workers, worker = context.num_input_pipelines, context.input_pipeline_id
  order = start.order
  if order is None:
    first = start.position + (worker - start.position) % num_workers
    return Reading(data, None, decode, functools.partial(
        _number, first=first, num_workers=num_workers, repeats=repeats))
  files = [copies.get(file, file) for file in start.files]
  open_file = dataset_fn.pick_dataset_fn(data.file_type)
  decode = functools.partial(_decode, decode)
  ordered = data.replace(
      shuffle_buffer_size=1, cache=False, deterministic=True)
  if data.cache:
    size, dataset = record_order.share(
        order, files, open_file, num_workers, worker)
    from_memory = functools.partial(
        record_order.from_memory, order, size=size * repeats,
        position=start.position, num_workers=num_workers, worker=worker)
    return Reading(
        ordered, dataset, decode, functools.partial(_repeat, times=repeats),
        functools.partial(_from_memory, from_memory, data.global_batch_size))
  # The images of a record, one after the other on the same worker.
  records_before, images_before = divmod(
      start.position // num_workers, repeats)
  dataset = record_order.records(
      order, files, open_file,
      start.position if repeats == 1 else records_before * num_workers,
      num_workers, worker, data.cycle_length)
  return Reading(ordered, dataset, decode, functools.partial(
      _repeat, times=repeats, skip=images_before))


def parse_numbered(
    parse: Callable[[tf.Tensor, Features], tuple[tf.Tensor, tf.Tensor]],
) -> Callable[[Features], tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]]:
  """Hands the number of an image on.

  Args:
    parse: makes an image and a label of the number and the features.

  Returns:
    What makes the number of the image in the training, int64 [], with its image
    and label, of the features of a `Reading`.
  """
  def parse_features(features):
    features = dict(features)
    number = features.pop(_NUMBER)
    return number, parse(number, features)

  return parse_features


def postprocess_numbered(
    mix: Callable[..., tuple[tf.Tensor, tf.Tensor]] | None,
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
  """Takes the numbers out of a batch.

  Args:
    mix: takes the number of the first image, and mixes the images and labels
      of a batch with each other; or None.

  Returns:
    What makes images and labels of a batch of what `parse_numbered` returns.
  """
  return functools.partial(_postprocess, mix)


def _postprocess(mix, numbers: tf.Tensor, examples: tuple[tf.Tensor, tf.Tensor]
                 ) -> tuple[tf.Tensor, tf.Tensor]:
  return mix(numbers[0], *examples) if mix else examples


def _decode(decode, number: tf.Tensor, record: tf.Tensor) -> Features:
  return {**decode(record), _NUMBER: number}


def _repeat(dataset: tf.data.Dataset, times: int, skip: int = 0
            ) -> tf.data.Dataset:
  """Takes every record so many times, each as an image of its own."""
  if times == 1:
    return dataset
  return dataset.flat_map(lambda features: tf.data.Dataset.range(times).map(
      lambda index: {**features, _NUMBER: features[_NUMBER] * times + index})
                          ).skip(skip)


def _number(dataset: tf.data.Dataset, first: int, num_workers: int,
            repeats: int) -> tf.data.Dataset:
  """Numbers the features of a data set that has an order of its own."""
  if repeats > 1:
    dataset = tf.data.Dataset.sample_from_datasets(
        [dataset] * repeats, [1 / repeats] * repeats,
        stop_on_empty_dataset=True)
  numbers = tf.data.Dataset.range(first, tf.int64.max, num_workers)
  return tf.data.Dataset.zip((numbers, dataset)).map(
      lambda number, features: {**features, _NUMBER: number})


def _from_memory(from_memory, batch_size: int, dataset: tf.data.Dataset,
                 context: tf.distribute.InputContext | None) -> tf.data.Dataset:
  """Repeats what was parsed once, in Model Garden's batches."""
  if context:
    batch_size = context.get_per_replica_batch_size(batch_size)
  return from_memory(
      dataset=dataset.map(lambda number, example: example),
      batch_size=batch_size)
