"""What a SavedModel does with the bytes of an image.

The preprocessing is the input pipeline's own parser with the experiment's
validation settings, so that a served image is cropped, resized and normalised
exactly as an evaluated one.

Legend: B batch, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping

from official.core import config_definitions as cfg
from official.core import export_base
from official.vision.dataloaders import classification_input
import tensorflow as tf
import tf_keras


class ServingModule(export_base.ExportModule):
  """Image bytes in, logits and probabilities out."""

  def __init__(self, params: cfg.ExperimentConfig, model: tf_keras.Model):
    """Initialises the module.

    Args:
      params: the experiment's configuration.
      model: the classifier, its weights restored.
    """
    super().__init__(params=params, model=model)
    self._image_size = tuple(params.task.model.input_size[:2])
    self._parse_jpeg = _parser(
        params, params.task.validation_data.decode_jpeg_only)
    # What is not a JPEG (PNG, BMP) is decoded whole, then cropped.
    self._parse_any = _parser(params, decode_jpeg_only=False)

  def preprocess(self, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes, crops, resizes and normalises one image.

    Args:
      encoded: string [], the bytes of a JPEG, PNG or BMP file.

    Returns:
      float32 [height, width, 3].
    """
    tensors = {
        classification_input.DEFAULT_IMAGE_FIELD_KEY: encoded,
        classification_input.DEFAULT_LABEL_FIELD_KEY: tf.constant(0),
    }
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: self._parse_jpeg(tensors)[0],
        lambda: self._parse_any(tensors)[0])

  @tf.function
  def serve(self, image_bytes: tf.Tensor) -> Mapping[str, tf.Tensor]:
    """Classifies images.

    Args:
      image_bytes: string [B], the bytes of image files.

    Returns:
      `logits` and `probs`, float32 [B, C].
    """
    with tf.device('cpu:0'):
      images = tf.map_fn(
          self.preprocess, image_bytes,
          fn_output_signature=tf.TensorSpec(
              [*self._image_size, 3], tf.float32),
          parallel_iterations=32)
    logits = tf.cast(self.inference_step(images), tf.float32)
    if self.params.task.train_data.is_multilabel:
      probs = tf.math.sigmoid(logits)
    else:
      probs = tf.nn.softmax(logits)
    return {'logits': logits, 'probs': probs}

  def get_inference_signatures(
      self, function_keys: Mapping[str, str]
  ) -> Mapping[str, tf.types.experimental.ConcreteFunction]:
    """The signatures of the SavedModel.

    Args:
      function_keys: kind of input, here 'image_bytes', to signature name.

    Returns:
      Concrete functions by signature name.
    """
    unknown = set(function_keys) - {'image_bytes'}
    if unknown:
      raise ValueError(
          f"unknown kind of input {sorted(unknown)}; use 'image_bytes'.")
    spec = tf.TensorSpec([None], tf.string, name='image_bytes')
    return {name: self.serve.get_concrete_function(spec)
            for name in function_keys.values()}


def _parser(params: cfg.ExperimentConfig, decode_jpeg_only: bool):
  """The evaluation parser of Model Garden's input pipeline."""
  data = params.task.validation_data
  return classification_input.Parser(
      output_size=list(params.task.model.input_size[:2]),
      num_classes=params.task.model.num_classes,
      decode_jpeg_only=decode_jpeg_only,
      aug_crop=data.aug_crop,
      center_crop_fraction=data.center_crop_fraction,
      tf_resize_method=data.tf_resize_method).parse_fn(is_training=False)
