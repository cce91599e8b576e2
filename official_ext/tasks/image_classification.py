"""Image classification: Model Garden's task, with every label checked.

Legend: B batch, C classes.
"""

from __future__ import annotations

import re

from absl import logging
from official.core import task_factory
from official.vision.tasks import image_classification
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import restore
from official_ext.configs import image_classification as configs

# Rounding of soft labels (mixup, cutmix), which sum to 1 for every image.
_TOLERANCE = 1e-3

BAD_LABEL = 'A label is outside the classes of the model'
_ASSERTION = re.compile(rf'\[({BAD_LABEL}.*?)\] \[(.*?)\]\n', re.DOTALL)


@task_factory.register_task_cls(configs.ImageClassificationTask)
class ImageClassificationTask(image_classification.ImageClassificationTask):
  """Model Garden's task on our data settings.

  Model Garden trains on nothing, without a word, where a record has no label
  (it decodes to -1) or a label is the number of classes or more (its one-hot
  vector is all zeros). Here the input pipeline raises InvalidArgumentError.
  """

  def initialize(self, model: tf_keras.Model) -> restore.Report | None:
    """Loads `init_checkpoint` and logs what became of every variable.

    Args:
      model: the classifier.

    Returns:
      The report; None if no checkpoint is asked for, or the backbone is one of
      Model Garden's own, which Model Garden then loads.

    Raises:
      restore.LoadError: if the checkpoint does not fit.
    """
    config = self.task_config
    if not config.init_checkpoint:
      return None
    if config.model.backbone.type != 'funnel_vit':
      return super().initialize(model)
    report = restore.load(
        model,
        config.init_checkpoint,
        modules=config.init_checkpoint_modules,
        method=config.init_checkpoint_resize_method,
        source_grid=config.init_checkpoint_grid)
    logging.info('%s', report)
    return report

  def build_inputs(
      self,
      params: configs.DataConfig,
      input_context: tf.distribute.InputContext | None = None,
  ) -> tf.data.Dataset:
    """Builds Model Garden's input pipeline and checks its labels.

    Args:
      params: the data settings.
      input_context: which part of the data this worker reads.

    Returns:
      Batches of images, [B, height, width, 3], and labels: int32 [B], or
      float32 [B, C] where mixup or cutmix made them soft.
    """
    dataset = super().build_inputs(params, input_context)
    if self.task_config.train_data.is_multilabel:
      return dataset
    num_classes = self.task_config.model.num_classes
    label_key = self.task_config.train_data.label_field_key
    offset = params.label_offset or 0
    mixing = params.mixup_and_cutmix
    smoothing = mixing.label_smoothing if mixing else 0.0

    def check(images, labels):
      return images, offset_labels(
          labels, offset, num_classes, label_key, smoothing)

    return dataset.map(check, num_parallel_calls=tf.data.AUTOTUNE).prefetch(
        params.prefetch_buffer_size or tf.data.AUTOTUNE)


def bad_label_message(error: tf.errors.InvalidArgumentError) -> str | None:
  """What the check of the labels said, without TensorFlow's wrapping.

  Args:
    error: an error of a training or evaluation step.

  Returns:
    The message, or None if it was another error.
  """
  match = _ASSERTION.search(str(error))
  # The message passes through a string literal on its way.
  return f'{match[1]} {match[2]}'.replace("\\'", "'") if match else None


def offset_labels(labels: tf.Tensor, offset: int, num_classes: int,
                  label_key: str, label_smoothing: float = 0.0) -> tf.Tensor:
  """Adds the offset of the data set to labels and checks their range.

  Args:
    labels: int [B], or float [B, C] where they are soft.
    offset: what to add to each label.
    num_classes: C.
    label_key: feature of the record that holds the label, for the message.
    label_smoothing: mass that soft labels spread over all classes.

  Returns:
    The labels, of the same shape and type.

  Raises:
    tf.errors.InvalidArgumentError: if a label is outside 0..C-1.
  """
  expected = (
      f'{BAD_LABEL}: after adding label_offset {offset}, labels must be in '
      f'0..{num_classes - 1}. A record without {label_key!r} reads as -1. '
      'Check task.model.num_classes, label_offset and the records. Found:')
  if labels.shape.rank == 1:
    labels += offset
    is_valid = tf.logical_and(labels >= 0, labels < num_classes)
    found = tf.boolean_mask(labels, tf.logical_not(is_valid))
  else:
    # Class c becomes c + offset, and what wraps round may only be the mass that
    # smoothing gave to classes without images.
    wrapped = labels[:, num_classes - offset:] if offset > 0 else (
        labels[:, :-offset])  # [B, C] -> [B, |offset|]
    spread = label_smoothing / num_classes
    is_valid = tf.logical_and(
        tf.abs(tf.reduce_sum(labels, axis=-1) - 1) < _TOLERANCE,
        tf.reduce_all(wrapped < spread + _TOLERANCE, axis=-1))  # [B]
    found = tf.constant('in a batch of mixed images')
    labels = tf.roll(labels, offset, axis=-1)
  with tf.control_dependencies(
      [tf.debugging.Assert(tf.reduce_all(is_valid), [expected, found])]):
    return tf.identity(labels)
