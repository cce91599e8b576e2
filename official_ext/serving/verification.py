"""Does an export answer as the checkpoint does? On a validation set, exactly.

Legend: B images, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import dataclasses
import os
import statistics
import time
from typing import Any

import numpy as np
from official.vision.dataloaders import classification_input
import tensorflow as tf

from official_ext.serving import plain_function
from official_ext.serving import runners as runners_lib
from official_ext.serving import trained as trained_lib
from official_ext.tasks import parsing

# Images that are evaluated at once; the last batch may be smaller.
_EVALUATION_BATCH = 32
_TIMED_SECONDS = 2.0
_MIN_TIMED_CALLS = 5


@dataclasses.dataclass
class Batch:
  """Part of a validation set.

  Attributes:
    encoded: the bytes of B image files.
    images: what the model takes of them, float32 [B, height, width, 3].
    labels: int [B].
  """
  encoded: np.ndarray
  images: np.ndarray
  labels: np.ndarray


@dataclasses.dataclass
class Accuracy:
  """What a model gets right, counted image by image.

  Attributes:
    num_images: how many.
    num_top_1: of them the likeliest class is the label.
    num_top_5: the label is among the five likeliest.
    max_difference: largest difference of a logit from the checkpoint's; None
      of the checkpoint itself.
  """
  num_images: int = 0
  num_top_1: int = 0
  num_top_5: int = 0
  max_difference: float | None = None

  def add(self, logits: np.ndarray, labels: np.ndarray,
          expected: np.ndarray | None) -> None:
    """Counts a batch; `expected` are the logits of the checkpoint."""
    ranked = np.argsort(-logits, axis=-1, kind='stable')
    hits = ranked[:, :5] == labels[:, np.newaxis]
    self.num_images += len(labels)
    self.num_top_1 += int(hits[:, 0].sum())
    self.num_top_5 += int(hits.sum())
    if expected is not None:
      # Not max(): a NaN must not get lost.
      self.max_difference = float(np.maximum(
          self.max_difference or 0.0, np.abs(logits - expected).max()))


@dataclasses.dataclass
class Row:
  """What is known of an export, or of the checkpoint.

  Attributes:
    name: what it is.
    accuracy: on the validation set.
    num_bytes: of its files; None of the checkpoint.
    takes_bytes: whether its times include decoding.
    seconds: of a call by batch size, the median.
    is_exact: whether its arithmetic is the training's.
  """
  name: str
  accuracy: Accuracy
  num_bytes: int | None = None
  takes_bytes: bool = False
  seconds: dict[int, float] = dataclasses.field(default_factory=dict)
  is_exact: bool = True


def read_records(trained: trained_lib.TrainedModel, pattern: str | None,
                 num_images: int | None) -> Iterator[Batch]:
  """Reads a validation set as evaluation does, and the files beside it.

  Args:
    trained: the model, whose settings are used.
    pattern: of TFRecords; None: the experiment's validation data.
    num_images: how many to read; None: all.

  Yields:
    Batches of up to 32 images, one at least.

  Raises:
    ValueError: if no file matches, there is no record in them, or the
      experiment reads no TFRecords.
  """
  task = trained.params.task
  data = task.validation_data
  pattern = pattern or data.input_path
  if not pattern:
    raise ValueError(
        'the validation data of this training are no TFRecords. Name some '
        'with --data.')
  paths = sorted(tf.io.gfile.glob(pattern))
  if not paths:
    raise ValueError(
        f'no file matches {pattern!r}. Name TFRecords with --data.')
  image_key = task.train_data.image_field_key
  label_key = task.train_data.label_field_key
  decoder = classification_input.Decoder(image_key, label_key)
  parser = parsing.build_parser(task, data, dtype='float32')

  def parse(record):
    tensors = decoder.decode(record)
    label = tf.cast(tensors[label_key], tf.int32) + (data.label_offset or 0)
    return (tensors[image_key], parsing.evaluation_image(parser, tensors),
            label)

  dataset = tf.data.TFRecordDataset(paths)
  if num_images:
    dataset = dataset.take(num_images)
  dataset = dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE).batch(
      _EVALUATION_BATCH).prefetch(2)
  is_empty = True
  for encoded, images, labels in dataset.as_numpy_iterator():
    is_empty = False
    yield Batch(encoded, images, labels)
  if is_empty:
    raise ValueError(f'there is no record in {pattern!r}.')


def compare(trained: trained_lib.TrainedModel,
            runners: list[runners_lib.Runner],
            batches: Iterator[Batch]) -> list[Row]:
  """Runs exports beside the checkpoint.

  Args:
    trained: the checkpoint's model.
    runners: the exports.
    batches: the validation set.

  Returns:
    The row of the checkpoint, and one for each export.
  """
  classify = tf.function(
      lambda images: trained.model(images, training=False),
      reduce_retracing=True)
  rows = [Row('checkpoint', Accuracy())] + [
      Row(runner.name, Accuracy(), runner.num_bytes, runner.takes_bytes,
          is_exact=runner.is_exact) for runner in runners]
  for batch in batches:
    expected = tf.cast(classify(batch.images), tf.float32).numpy()
    rows[0].accuracy.add(expected, batch.labels, None)
    resized = plain_function.resized(batch.images)
    for row, runner in zip(rows[1:], runners, strict=True):
      logits = runner.logits(batch.encoded if runner.takes_bytes else resized)
      row.accuracy.add(logits, batch.labels, expected)
  return rows


def time_calls(rows: list[Row], runners: list[runners_lib.Runner],
               example: Batch, batch_sizes: list[int]) -> None:
  """Times the exports, each at every batch size, and adds it to the rows.

  Args:
    rows: one for each runner.
    runners: the exports.
    example: images to repeat.
    batch_sizes: images in a call.
  """
  for row, runner in zip(rows, runners, strict=True):
    for batch_size in batch_sizes:
      if runner.takes_bytes:
        batch = np.resize(example.encoded, [batch_size])
      else:
        resized = plain_function.resized(example.images)
        batch = resized[np.arange(batch_size) % len(resized)]
      row.seconds[batch_size] = median_seconds(
          lambda runner=runner, batch=batch: runner.logits(batch))


def median_seconds(call: Callable[[], object]) -> float:
  """The median time of a call that has been made twice before, s."""
  call()
  call()
  seconds = []
  start = time.perf_counter()
  while (len(seconds) < _MIN_TIMED_CALLS or
         time.perf_counter() - start < _TIMED_SECONDS):
    before = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - before)
  return statistics.median(seconds)


def format_table(rows: list[Row], batch_sizes: list[int]) -> str:
  """The rows as a Markdown table."""
  header = ['', 'top-1', 'top-5', 'largest logit difference', 'size, MB',
            'takes', *(f'ms at batch {size}' for size in batch_sizes),
            *(f'images/s at batch {size}' for size in batch_sizes)]
  lines = [header, ['---'] * len(header)]
  for row in rows:
    accuracy = row.accuracy
    lines.append([
        row.name,
        f'{100 * accuracy.num_top_1 / accuracy.num_images:.2f} %',
        f'{100 * accuracy.num_top_5 / accuracy.num_images:.2f} %',
        '' if accuracy.max_difference is None
        else f'{accuracy.max_difference:.1e}',
        '' if row.num_bytes is None else significant(row.num_bytes / 1e6),
        '' if row.num_bytes is None
        else 'image files' if row.takes_bytes else 'resized images',
        *(significant(1e3 * row.seconds[size]) if row.seconds else ''
          for size in batch_sizes),
        *(significant(size / row.seconds[size]) if row.seconds else ''
          for size in batch_sizes)])
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def significant(value: float) -> str:
  """Three digits of a positive number, or all of a large one."""
  return f'{value:.3g}' if value < 999.5 else f'{value:,.0f}'


def model_dir_of(checkpoint: str) -> str:
  """The folder of the training that wrote a checkpoint.

  Args:
    checkpoint: prefix of the checkpoint.

  Returns:
    Its folder, or the one above: the best checkpoint has its own.

  Raises:
    ValueError: if the training is not there any more.
  """
  folder = os.path.dirname(checkpoint)
  for candidate in (folder, os.path.dirname(folder)):
    if tf.io.gfile.exists(os.path.join(candidate, 'params.yaml')):
      return candidate
  raise ValueError(
      f'the export is of {checkpoint}, and there is no params.yaml beside it. '
      'Name the folder of the training with --model_dir.')


def checkpoint_in(model_dir: str, checkpoint: str) -> str:
  """The checkpoint of an export, in the folder that its training has now.

  Args:
    model_dir: folder of the training.
    checkpoint: prefix of the checkpoint where the training was.

  Returns:
    Its prefix in `model_dir`, or in the folder of the best checkpoint there.

  Raises:
    ValueError: if it is not there.
  """
  folder, name = os.path.split(checkpoint)
  for candidate in (os.path.join(model_dir, name),
                    os.path.join(model_dir, os.path.basename(folder), name)):
    if tf.io.gfile.exists(f'{candidate}.index'):
      return candidate
  raise ValueError(
      f'--model_dir={model_dir} has no checkpoint {name}, of which the export '
      'is. Name the folder of its training.')


def common_source(runners: list[runners_lib.Runner]) -> dict[str, Any]:
  """The checkpoint that all exports are of.

  Args:
    runners: the exports.

  Returns:
    The `source` of their descriptions.

  Raises:
    ValueError: if they are of different ones.
  """
  first, *others = runners
  for other in others:
    for key in ('source', 'preprocessing'):
      if other.description[key] != first.description[key]:
        raise ValueError(
            f'{first.path} and {other.path} are not exports of the same '
            f'weights: {key} is {first.description[key]} and '
            f'{other.description[key]}. Verify them one by one.')
  return first.description['source']
