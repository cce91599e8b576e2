"""The model as a function of resized images, for runtimes that read no files.

LiteRT and ONNX have no decoders for JPEG, so their input is the image after
cropping and resizing, as RGB values of 0 to 255; the normalisation is inside.

Legend: B images, C classes.
"""

from __future__ import annotations

import numpy as np
from official.vision.ops import preprocess_ops
import tensorflow as tf

from official_ext.trained import trained_model

INPUT = 'images'
OUTPUTS = ('logits', 'probs')


def build(trained: trained_model.TrainedModel
          ) -> tf.types.experimental.GenericFunction:
  """Builds the function.

  Args:
    trained: the model.

  Returns:
    From `images`, float32 [B, height, width, 3], to a dictionary of `logits`
    and `probs`, float32 [B, C].
  """
  height, width = trained.params.task.model.input_size[:2]
  is_multilabel = trained.params.task.train_data.is_multilabel

  @tf.function(input_signature=[
      tf.TensorSpec([None, height, width, 3], tf.float32, name=INPUT)])
  def classify(images):
    normalized = preprocess_ops.normalize_image(
        images, offset=preprocess_ops.MEAN_RGB, scale=preprocess_ops.STDDEV_RGB)
    logits = tf.cast(trained.model(normalized, training=False), tf.float32)
    activation = tf.math.sigmoid if is_multilabel else tf.nn.softmax
    return dict(zip(OUTPUTS, (logits, activation(logits)), strict=True))

  return classify


def resized(normalized: np.ndarray) -> np.ndarray:
  """What the function takes, of images as the input pipeline yields them.

  Args:
    normalized: float32 [B, height, width, 3].

  Returns:
    The same before their normalisation, 0 to 255.
  """
  return (normalized * np.array(preprocess_ops.STDDEV_RGB, np.float32)
          + np.array(preprocess_ops.MEAN_RGB, np.float32))
