"""Converts a trained model to LiteRT (TensorFlow Lite)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from official_ext.command_line import library_logs
from official_ext.serving.formats import calibration as calibration_lib
from official_ext.serving.formats import inference_function
from official_ext.serving.formats import names
from official_ext.serving.formats import weights_tree
from official_ext.trained import trained_model


def convert(trained: trained_model.TrainedModel, precision: str, metadata: str,
            calibration: calibration_lib.Calibration) -> bytes:
  """Converts a model.

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
  function = inference_function.build(trained)
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
  """Reads what `convert` put inside a file.

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
