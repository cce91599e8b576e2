"""Builds the model as a function of resized images, which other formats hold.

LiteRT and ONNX have no decoders for JPEG, so their input is the image after
cropping and resizing, as RGB values of 0 to 255; the normalisation is inside.

Legend: B images, C classes.
"""

from __future__ import annotations

import tensorflow as tf

from official_ext.serving.formats import names
from official_ext.tasks import normalization
from official_ext.trained import trained_model


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
      tf.TensorSpec([None, height, width, 3], tf.float32, name=names.IMAGES)])
  def classify(images):
    logits = tf.cast(
        trained.model(normalization.normalize(images), training=False),
        tf.float32)
    activation = tf.math.sigmoid if is_multilabel else tf.nn.softmax
    return {names.LOGITS: logits, names.PROBS: activation(logits)}

  return classify
