"""Times exports in turns, and formats the table of them."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import statistics
import time
from typing import Any

import numpy as np
import tensorflow as tf

from official_ext.command_line import tables
from official_ext.serving.runtimes import loading

# A JPEG of about the size of ImageNet's photographs, height and width.
_PHOTOGRAPH_SIZE = (375, 500)
_WARMUP_CALLS = 2


@dataclasses.dataclass
class Row:
  """An export that is timed.

  Attributes:
    layout: of the model.
    runner: the export.
    image_size: side of the model's images, px.
    seconds: of each call, by batch size.
  """
  layout: str
  runner: loading.Runner
  image_size: int
  seconds: dict[int, list[float]] = dataclasses.field(default_factory=dict)


def measure(rows: list[Row], batch_sizes: list[int], rounds: int,
            clock: Callable[[], float] = time.perf_counter) -> None:
  """Times the exports in turns and adds the seconds to the rows.

  Args:
    rows: the exports.
    batch_sizes: images in a call.
    rounds: timed calls of each export and batch size.
    clock: tells the time, s.
  """
  for batch_size in batch_sizes:
    batches = [_batch(row, batch_size) for row in rows]
    for row, batch in zip(rows, batches, strict=True):
      for _ in range(_WARMUP_CALLS):
        row.runner.logits(batch)
    for _ in range(rounds):
      for row, batch in zip(rows, batches, strict=True):
        start = clock()
        row.runner.logits(batch)
        row.seconds.setdefault(batch_size, []).append(clock() - start)
  for row in rows:
    assert {len(seconds) for seconds in row.seconds.values()} == {rounds}


def _batch(row: Row, batch_size: int) -> Any:
  """Returns what the export takes, from one image."""
  generator = np.random.default_rng(0)
  if not row.runner.takes_bytes:
    return generator.uniform(0, 255, (
        batch_size, row.image_size, row.image_size, 3)).astype(np.float32)
  # Smooth, so that it compresses as a photograph does.
  small = generator.integers(0, 256, (40, 50, 3)).astype(np.float32)
  image = tf.clip_by_value(
      tf.image.resize(small, _PHOTOGRAPH_SIZE, method='bicubic'), 0, 255)
  encoded = tf.io.encode_jpeg(tf.cast(image, tf.uint8))
  return np.array([encoded.numpy()] * batch_size, object)


def format_table(rows: list[Row], batch_sizes: list[int]) -> str:
  """Formats the rows as a Markdown table.

  Args:
    rows: timed; the first of each format is what the others are compared with.
    batch_sizes: images in a call.

  Returns:
    The table.
  """
  header = ['layout', 'export', 'size, MB']
  for size in batch_sizes:
    header += [f'ms at batch {size}', 'images/s', 'as fast as the first']
  lines = []
  firsts: dict[str, Row] = {}
  for row in rows:
    first = firsts.setdefault(row.runner.name, row)
    cells = [row.layout, row.runner.name,
             tables.significant(row.runner.num_bytes / 1e6)]
    for size in batch_sizes:
      seconds = row.seconds[size]
      median = statistics.median(seconds)
      milliseconds = [tables.significant(1e3 * value)
                      for value in (median, min(seconds), max(seconds))]
      cells += [
          '{} ({} to {})'.format(*milliseconds),
          tables.significant(size / median),
          f'{statistics.median(first.seconds[size]) / median:.2f}x']
    lines.append(cells)
  return tables.markdown(header, lines)
