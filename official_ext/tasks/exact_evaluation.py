"""Evaluation that covers every image exactly once, with static shapes.

Model Garden drops a last batch that is not full: 50,000 images at batch 4,096
are 49,152. Here it is filled up with images of weight 0, which count neither in
the loss nor in a metric. Every batch is sharded over the workers, so that they
all have as many.

Legend: B images of one replica's batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

# Added to every record of an evaluation: 1, or 0 for one that fills up.
_WEIGHT = '_weight'


def shard(dataset: tf.data.Dataset, global_batch_size: int,
          num_pipelines: int = 1, pipeline: int = 0) -> tf.data.Dataset:
  """Fills the last global batch up and takes one worker's shard of each.

  Every worker reads all records, since only so it knows how many there are; it
  decodes the images of its shard alone.

  Args:
    dataset: records, as dictionaries, in the same order on every worker.
    global_batch_size: images of a step.
    num_pipelines: how many workers share a step; divides the batch.
    pipeline: which of them this is, from 0.

  Returns:
    The records of this worker, with a weight: the first ones again, with
    weight 0, are what fills up.
  """
  shard_size = global_batch_size // num_pipelines

  def with_weight(weight):
    return lambda record: {**record, _WEIGHT: tf.constant(weight)}

  def is_needed(index, record):
    return record[_WEIGHT] > 0 or index % global_batch_size > 0

  def is_own(index, _):
    return index % global_batch_size // shard_size == pipeline

  filled = dataset.map(with_weight(1.0)).concatenate(
      dataset.repeat().map(with_weight(0.0)))
  return filled.enumerate().take_while(is_needed).filter(is_own).map(
      lambda _, record: record)


def parse_with_weight(
    parse: Callable[[Mapping[str, tf.Tensor]], tuple[tf.Tensor, tf.Tensor]],
) -> Callable[[Mapping[str, tf.Tensor]],
              tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]]:
  """Hands the weight of a record on.

  Args:
    parse: makes an image and a label of a record.

  Returns:
    What makes an image, and a label with a weight, of a record of `shard`.
  """
  def parse_record(record):
    features = dict(record)
    weight = features.pop(_WEIGHT)
    image, label = parse(features)
    return image, (label, weight)

  return parse_record


def weighted_loss(build_losses, labels: tf.Tensor, outputs: tf.Tensor,
                  weights: tf.Tensor, aux_losses: Any) -> tf.Tensor:
  """Returns the mean loss over the images of a batch that count.

  Args:
    build_losses: the task's, which takes the mean over a batch.
    labels: [B] or [B, classes].
    outputs: logits, [B, classes].
    weights: sample weights, float32 [B].
    aux_losses: the model's, such as weight regularisation.

  Returns:
    The loss, []; 0 for a batch without images.
  """
  def of_one(example):
    label, output = example
    return build_losses(
        labels=label[tf.newaxis], model_outputs=output[tf.newaxis],
        aux_losses=aux_losses)

  losses = tf.vectorized_map(of_one, (labels, outputs))  # [B]
  return tf.math.divide_no_nan(
      tf.reduce_sum(losses * weights), tf.reduce_sum(weights))
