"""Converts a trained model to the formats of one file: LiteRT and ONNX.

They have no decoders for JPEG, so their input is the image after cropping and
resizing, as RGB values of 0 to 255; the normalisation is inside. ONNX needs the
extra `onnx`.

Legend: B images, C classes.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from official_ext.command_line import extras
from official_ext.command_line import library_logs
from official_ext.serving.formats import calibration as calibration_lib
from official_ext.serving.formats import names
from official_ext.serving.formats import weights_tree
from official_ext.tasks import normalization
from official_ext.trained import trained_model

# What onnxruntime 1.14 and later run; LayerNorm and GELU need no more.
_OPSET = 17


def to_litert(
    trained: trained_model.TrainedModel, precision: str, metadata: str,
    calibration: calibration_lib.Calibration) -> bytes:
  """Converts a model to LiteRT (TensorFlow Lite).

  Args:
    trained: the model.
    precision: of the weights, one of names.PRECISIONS; with
      'dynamic_range' they are int8 and the products are taken in int8 too, with
      'int8' the activations are int8 as well. Inputs and outputs stay float32.
    metadata: text to put inside.
    calibration: the images from which 'int8' learns the ranges of the
      activations.

  Returns:
    The contents of the file.

  Raises:
    ValueError: if there is no such precision, or nothing to calibrate on.
  """
  if precision not in names.PRECISIONS:
    raise ValueError(f'--precision={precision} must be one of '
                     f'{", ".join(names.PRECISIONS)}.')
  if precision == names.INT8:
    calibration_lib.check(trained, calibration)
  function = _inference_function(trained)
  converter = tf.lite.TFLiteConverter.from_concrete_functions(
      [function.get_concrete_function()], weights_tree.mirror(trained.model))
  if precision != names.FLOAT32:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  if precision == 'float16':
    converter.target_spec.supported_types = [tf.float16]
  if precision == names.INT8:
    converter.representative_dataset = lambda: (
        {names.IMAGES: image[np.newaxis]}
        for image in calibration_lib.images(trained, calibration))
  with library_logs.without_native_messages():
    model = converter.convert()
  return _with_metadata(model, metadata)


def to_onnx(trained: trained_model.TrainedModel, metadata: str) -> bytes:
  """Converts a model to ONNX, in float32.

  Args:
    trained: the model.
    metadata: text to put inside.

  Returns:
    The contents of the file.

  Raises:
    ValueError: if the extra is not installed.
  """
  onnx = extras.load('onnx', 'onnx', '--format=onnx')
  tf2onnx = extras.load('tf2onnx', 'onnx', '--format=onnx')
  function = _inference_function(trained)
  with library_logs.without_native_messages():
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=_OPSET)
  onnx.helper.set_model_props(model, {names.DESCRIPTION_KEY: metadata})
  return model.SerializeToString()


def _inference_function(
    trained: trained_model.TrainedModel,
) -> tf.types.experimental.GenericFunction:
  """Builds the function that a file holds.

  Args:
    trained: the model.

  Returns:
    From `images`, float32 [B, height, width, 3], to a dictionary of `logits`
    and `probs`, float32 [B, C].
  """
  height, width = trained.params.task.model.input_size[:2]
  is_multilabel = trained.params.task.train_data.is_multilabel
  normalize = normalization.of_task(trained.params.task).normalize

  @tf.function(input_signature=[
      tf.TensorSpec([None, height, width, 3], tf.float32, name=names.IMAGES)])
  def classify(images):
    logits = tf.cast(
        trained.model(normalize(images), training=False), tf.float32)
    activation = tf.math.sigmoid if is_multilabel else tf.nn.softmax
    return {names.LOGITS: logits, names.PROBS: activation(logits)}

  return classify


def _with_metadata(model: bytes, text: str) -> bytes:
  """Adds a named buffer, which runtimes ignore."""
  unpacked = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
  buffer = schema.BufferT()
  buffer.data = np.frombuffer(text.encode(), np.uint8)
  unpacked.buffers.append(buffer)
  entry = schema.MetadataT()
  entry.name = names.DESCRIPTION_KEY
  entry.buffer = len(unpacked.buffers) - 1
  unpacked.metadata = [*(unpacked.metadata or ()), entry]
  return bytes(flatbuffer_utils.convert_object_to_bytearray(unpacked))


def read_metadata(model: bytes) -> str:
  """Reads what `to_litert` put inside a file.

  Args:
    model: the contents of the file.

  Returns:
    The text.

  Raises:
    ValueError: if it has none.
  """
  unpacked = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
  for entry in unpacked.metadata or ():
    if entry.name == names.DESCRIPTION_KEY.encode():
      return bytes(unpacked.buffers[entry.buffer].data).decode()
  raise ValueError(
      f'the LiteRT file has no metadata {names.DESCRIPTION_KEY!r}.')
