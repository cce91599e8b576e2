"""Compares exports with their checkpoint, image by image, and times them.

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
import tensorflow as tf

from official_ext.command_line import tables
from official_ext.params import experiment
from official_ext.serving.runtimes import classifier
from official_ext.serving.runtimes import loading
from official_ext.tasks import exif_orientation
from official_ext.tasks import normalization
from official_ext.tasks import ranking
from official_ext.trained import trained_model
from official_ext.trained import validation_data

_TIMED_SECONDS = 2.0
_MIN_TIMED_CALLS = 5


@dataclasses.dataclass
class Accuracy:
  """What a model gets right, counted image by image.

  Attributes:
    num_images: how many.
    num_top_1: of them the most probable class is the label.
    num_top_5: the label is among the five most probable.
    num_classes: that the model tells apart; 0: not known yet.
    max_difference: largest difference of a logit from the checkpoint's; None
      of the checkpoint itself.
  """
  num_images: int = 0
  num_top_1: int = 0
  num_top_5: int = 0
  num_classes: int = 0
  max_difference: float | None = None

  def add(self, logits: np.ndarray, labels: np.ndarray,
          expected: np.ndarray | None) -> None:
    """Counts a batch; `expected` are the logits of the checkpoint."""
    self.num_images += len(labels)
    self.num_classes = logits.shape[1]
    self.num_top_1 += _count(ranking.is_among_first(logits, labels, 1))
    self.num_top_5 += _count(ranking.is_among_first(logits, labels, 5))
    if expected is not None:
      # Not max(): a NaN must not get lost.
      self.max_difference = float(np.maximum(
          self.max_difference or 0.0, np.abs(logits - expected).max()))


def _count(is_right: tf.Tensor) -> int:
  return int(np.count_nonzero(is_right))


@dataclasses.dataclass
class Row:
  """What is known of an export, or of the checkpoint.

  Attributes:
    runner: the export; None of the checkpoint.
    accuracy: on the validation set.
    seconds: of a call by batch size, the median.
    num_turned: images that the export turns by their EXIF data; evaluation
      takes records as they stand.
  """
  runner: loading.Runner | None = None
  accuracy: Accuracy = dataclasses.field(default_factory=Accuracy)
  seconds: dict[int, float] = dataclasses.field(default_factory=dict)
  num_turned: int = 0


def compare(trained: trained_model.TrainedModel,
            runners: list[loading.Runner],
            batches: Iterator[validation_data.Batch]) -> list[Row]:
  """Runs exports beside the checkpoint.

  Args:
    trained: the checkpoint's model.
    runners: the exports.
    batches: the validation set.

  Returns:
    The row of the checkpoint, and one for each export.

  Raises:
    ValueError: if an export refuses an image.
  """
  normalized = normalization.of_task(trained.params.task)
  classify = tf.function(
      lambda images: trained.model(images, training=False),
      reduce_retracing=True)
  checkpoint = Row()
  exports = [Row(runner) for runner in runners]
  for batch in batches:
    expected = tf.cast(classify(batch.images), tf.float32).numpy()
    checkpoint.accuracy.add(expected, batch.labels, None)
    resized = normalized.denormalize(batch.images)
    for row in exports:
      if row.runner.takes_bytes:
        logits = answer(row.runner, batch.encoded, row.accuracy.num_images)
        row.num_turned += count_turned(row.runner, batch.encoded)
      else:
        logits = row.runner.logits(resized)
      row.accuracy.add(logits, batch.labels, expected)
  return [checkpoint, *exports]


def answer(runner: loading.Runner, encoded: np.ndarray,
           num_before: int) -> np.ndarray:
  """Returns the logits of image files, [B, C].

  Args:
    runner: an export that takes the bytes of files.
    encoded: those of B records.
    num_before: how many records came before.

  Raises:
    ValueError: if it refuses one, naming the first.
  """
  try:
    return runner.logits(encoded)
  except tf.errors.InvalidArgumentError:
    for index, image in enumerate(encoded, num_before):
      try:
        runner.logits([image])
      except tf.errors.InvalidArgumentError as error:
        raise ValueError(
            f'{runner.name} refuses the image of record {index}: '
            f'{classifier.explain(error)}. A server does so too; convert the '
            'data with data_prep.imagenet_to_tfrecord.') from error
    raise


def count_turned(runner: loading.Runner, encoded: np.ndarray) -> int:
  """Counts the image files that an export turns, as evaluation does not."""
  preprocessing = runner.description['preprocessing']
  if preprocessing[exif_orientation.KEY] != exif_orientation.APPLY:
    return 0
  return int(np.count_nonzero(
      _orientations(tf.constant(encoded)) != exif_orientation.UPRIGHT))


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def _orientations(encoded: tf.Tensor) -> tf.Tensor:
  return tf.map_fn(exif_orientation.read, encoded, fn_output_signature=tf.int32)


def cause_of_difference(rows: list[Row]) -> str:
  """Returns a sentence on why logits differ, or '' if no cause is known."""
  turned = max(row.num_turned for row in rows)
  if not turned:
    return ''
  return (
      f' {tables.counted(turned, "record holds", "records hold")} an image '
      'that is to be turned by its EXIF data, as exports of this model do; '
      'evaluation takes records as they stand. Convert the images with '
      f'--{exif_orientation.KEY}={exif_orientation.APPLY}.')


def time_calls(rows: list[Row], example: validation_data.Batch,
               batch_sizes: list[int],
               normalized: normalization.Normalization) -> None:
  """Times the exports, each at every batch size, and adds it to the rows.

  Args:
    rows: those of exports.
    example: images to repeat.
    batch_sizes: images in a call.
    normalized: what the images are normalised with.
  """
  resized = normalized.denormalize(example.images)
  for row in rows:
    images = example.encoded if row.runner.takes_bytes else resized
    for batch_size in batch_sizes:
      batch = images[np.arange(batch_size) % len(images)]
      row.seconds[batch_size] = _median_seconds(
          lambda row=row, batch=batch: row.runner.logits(batch))


def _median_seconds(call: Callable[[], object]) -> float:
  """Returns the median time of a call that is made twice before, s."""
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
  """Formats the rows as a Markdown table."""
  # Of five classes the label is always among the five most probable.
  ks = [1, 5] if rows[0].accuracy.num_classes > 5 else [1]
  header = ['', *(f'top-{k}' for k in ks), 'largest logit difference',
            'size, MB', 'takes',
            *(f'ms at batch {size}' for size in batch_sizes),
            *(f'images/s at batch {size}' for size in batch_sizes)]
  lines = []
  for row in rows:
    accuracy = row.accuracy
    counts = {1: accuracy.num_top_1, 5: accuracy.num_top_5}
    runner = row.runner
    cells = [runner.name if runner else 'checkpoint',
             *(f'{100 * counts[k] / accuracy.num_images:.2f} %' for k in ks)]
    if runner:
      cells += [f'{accuracy.max_difference:.1e}',
                tables.significant(runner.num_bytes / 1e6),
                'image files' if runner.takes_bytes else 'resized images',
                *(tables.significant(1e3 * row.seconds[size])
                  for size in batch_sizes),
                *(tables.significant(size / row.seconds[size])
                  for size in batch_sizes)]
    lines.append(cells + [''] * (len(header) - len(cells)))
  return tables.markdown(header, lines)


def locate(checkpoint: str, model_dir: str | None) -> tuple[str, str]:
  """Finds the checkpoint of an export, and the folder of its training.

  Args:
    checkpoint: prefix of the checkpoint where it was when it was exported.
    model_dir: the folder that the training has now; None: where it was.

  Returns:
    The prefix of the checkpoint, in `model_dir` or in the folder of the best
    checkpoint there, and the folder of the training.

  Raises:
    ValueError: if it is not there.
  """
  if not model_dir:
    model_dir = trained_model.model_dir_of(checkpoint)
    if not model_dir:
      raise ValueError(
          f'the export is of {checkpoint}, and there is no '
          f'{experiment.SAVED_FILE} beside it. Name the folder of the training '
          'with --model_dir.')
    return checkpoint, model_dir
  folder, name = os.path.split(checkpoint)
  for candidate in (os.path.join(model_dir, name),
                    os.path.join(model_dir, os.path.basename(folder), name)):
    if tf.io.gfile.exists(f'{candidate}.index'):
      return candidate, model_dir
  raise ValueError(
      f'--model_dir={model_dir} has no checkpoint {name}, of which the export '
      'is. Name the folder of its training.')


def common_source(runners: list[loading.Runner]) -> dict[str, Any]:
  """Returns the checkpoint that all exports are of.

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
