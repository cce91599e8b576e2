"""From an image of any size to its classes, as an evaluation gets there.

The same two steps that an evaluation at the size of its images takes, each by
what Model Garden's own pipeline and metric call: so an export, or a picture,
shows what was counted.

Legend: H x W pixels of an image, h x w of the model's input, C classes.
"""

from __future__ import annotations

from official.vision.evaluation import segmentation_metrics
from official.vision.ops import preprocess_ops
import tensorflow as tf

from official_ext.configs import semantic_segmentation as configs

_WHITE = 255.0


def check(task: configs.SemanticSegmentationTask) -> None:
  """Refuses a model whose predictions cannot be laid over images.

  Args:
    task: the task's configuration, resolved.

  Raises:
    ValueError: if images are in the middle of what is padded.
  """
  if configs.is_centered(task.validation_data):
    raise ValueError(
        'task.validation_data.centered_crop is true, and Model Garden lays '
        'predictions over images only where these are at the left top. Train '
        'with centered_crop=false.')


def decode(encoded: tf.Tensor) -> tf.Tensor:
  """Decodes the image of a record as Model Garden's input pipeline does.

  What is transparent shows the color below it: a conversion writes no
  transparency. Files of other origin are for `image_files.decode`.

  Args:
    encoded: string [], the bytes of an image file.

  Returns:
    uint8 [H, W, 3].

  Raises:
    tf.errors.InvalidArgumentError: if it cannot be decoded.
  """
  image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
  image.set_shape([None, None, 3])
  return image


def prepare(image: tf.Tensor, task: configs.SemanticSegmentationTask
            ) -> tuple[tf.Tensor, tf.Tensor]:
  """Makes the model's input of an image, as an evaluation does.

  Args:
    image: uint8 [H, W, 3], RGB.
    task: the task's configuration, resolved.

  Returns:
    float32 [h, w, 3]; and what was done, float32 [4, 2], as Model Garden's
    `image_info`: the sizes [H, W] and [h, w], the scale and the offset.
  """
  feature, data = task.train_data.image_feature, task.validation_data
  size = list(task.model.input_size[:2])
  own_size = tf.cast(tf.shape(image)[:2], tf.float32)
  image = preprocess_ops.normalize_image(
      image, [mean / _WHITE for mean in feature.mean],
      [stddev / _WHITE for stddev in feature.stddev])
  if data.preserve_aspect_ratio:
    image, info = preprocess_ops.resize_and_crop_image(image, size, size)
  else:
    image = tf.image.resize(image, size)
    info = tf.stack([own_size, tf.constant(size, tf.float32),
                     tf.constant(size, tf.float32) / own_size, [0.0, 0.0]])
  return tf.ensure_shape(tf.cast(image, tf.float32), [*size, 3]), info


def at_own_size(logits: tf.Tensor, info: tf.Tensor) -> tf.Tensor:
  """Enlarges predictions to the size of the image, as an evaluation does.

  Args:
    logits: what the model says of one input, [rows, columns, C].
    info: what `prepare` did, [4, 2].

  Returns:
    float32 [H, W, C].
  """
  height, width = tf.unstack(tf.cast(info[0], tf.int32))
  blank = tf.zeros([1, height, width, 1])
  enlarged, _, _ = segmentation_metrics.preprocess_inputs(
      {'masks': blank, 'valid_masks': blank, 'image_info': info[tf.newaxis]},
      tf.cast(logits, tf.float32)[tf.newaxis], rescale_predictions=True)
  return tf.squeeze(enlarged, 0)
