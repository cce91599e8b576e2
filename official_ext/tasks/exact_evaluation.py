"""Evaluation that covers every image exactly once, with static shapes.

Model Garden drops a last batch that is not full: 50,000 images at batch 4,096
are 49,152. Here it is filled up with empty images of weight 0, which count
neither in the loss nor in a metric.

Legend: B images of one replica's batch.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def fill_up(dataset: tf.data.Dataset, batch_size: int,
            num_replicas: int) -> tf.data.Dataset:
  """Fills the last batch up, and adds empty ones for idle replicas.

  The replicas of a step take a batch each; a step that cannot give every one
  of them a batch is not run. One empty batch less than there are replicas is
  enough for the last step that has images.

  Args:
    dataset: batches of images, [B or less, ...], and labels.
    batch_size: B.
    num_replicas: replicas that take their batches from this data set.

  Returns:
    Batches of images [B, ...] and of (labels, weights), the weights float32
    [B]: 1 for an image, 0 for what fills up.
  """
  def fill(images, labels):
    missing = batch_size - tf.shape(images)[0]
    weights = tf.pad(tf.ones([tf.shape(images)[0]]), [[0, missing]])
    return _fill(images, missing, batch_size), (
        _fill(labels, missing, batch_size),
        tf.ensure_shape(weights, [batch_size]))

  filled = dataset.map(fill, num_parallel_calls=tf.data.AUTOTUNE)
  empty = tf.data.Dataset.from_tensors(tf.nest.map_structure(
      lambda spec: tf.zeros(spec.shape, spec.dtype), filled.element_spec))
  return filled.concatenate(empty.repeat(num_replicas - 1))


def _fill(tensor: tf.Tensor, missing: tf.Tensor,
          batch_size: int) -> tf.Tensor:
  """[B - missing, ...] -> [B, ...], with zeros at the end."""
  paddings = [[0, missing]] + [[0, 0]] * (tensor.shape.rank - 1)
  return tf.ensure_shape(
      tf.pad(tensor, paddings), [batch_size, *tensor.shape[1:]])


def weighted_loss(build_losses, labels: tf.Tensor, outputs: tf.Tensor,
                  weights: tf.Tensor, aux_losses: Any) -> tf.Tensor:
  """The mean loss over the images of a batch that count.

  Args:
    build_losses: the task's, which takes the mean over a batch.
    labels: [B] or [B, classes].
    outputs: logits, [B, classes].
    weights: float32 [B].
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
