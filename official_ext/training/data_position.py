"""Where a training is in its data: part of every checkpoint.

A checkpoint says with how many images a run began, and with how many batches of
which size; how many batches were read since then follows from its step, and
from the batches that a recovery has skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from absl import logging
from official.core import config_definitions as cfg
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.tasks import protocol

# The block of a checkpoint's metadata.
KEY = 'data_position'
_SKIPPED_KEY = 'recovery/skipped_batches/.ATTRIBUTES/VARIABLE_VALUE'


def enter(task: protocol.Task, params: cfg.ExperimentConfig,
          checkpoint: str | None, num_workers: int) -> dict[str, Any]:
  """Lets a task begin its training data where a checkpoint ends.

  Args:
    task: the task.
    params: the experiment's configuration.
    checkpoint: prefix of the checkpoint to go on from; None: at step 0.
    num_workers: how many workers share the images.

  Returns:
    The block `KEY` for the metadata of the next checkpoints.
  """
  batch_size = params.task.train_data.global_batch_size
  known: Mapping[str, Any] = {}
  num_batches = num_images = 0
  if checkpoint:
    num_batches = _num_batches(checkpoint)
    known = (metadata.read(checkpoint) or {}).get(KEY, {})
    if known:
      num_images = known['num_images'] + known['batch_size'] * (
          num_batches - known['num_batches'])
    else:
      num_images = num_batches * batch_size
      logging.warning(
          '%s is of a version that did not note where it was in the data: '
          'this epoch may repeat images and leave out others.', checkpoint)
  order = task.enter_data(num_images, known.get('order', {}), num_workers)
  return {'num_images': num_images, 'num_batches': num_batches,
          'batch_size': batch_size, 'order': order}


def _num_batches(checkpoint: str) -> int:
  """Returns how many batches a training has read."""
  reader = tf.train.load_checkpoint(checkpoint)
  skipped = (int(reader.get_tensor(_SKIPPED_KEY))
             if reader.has_tensor(_SKIPPED_KEY) else 0)
  return (metadata.read_step(checkpoint) or 0) + skipped
