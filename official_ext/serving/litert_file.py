"""A trained model as one LiteRT (TensorFlow Lite) file."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from official_ext.command_line import library_logs
from official_ext.serving import description
from official_ext.serving import plain_function
from official_ext.serving import weights_tree
from official_ext.trained import trained_model

PRECISIONS = ('float32', 'float16', 'dynamic_range', 'int8')


def convert(trained: trained_model.TrainedModel, precision: str, metadata: str,
            calibration_images: Callable[[], Iterable[np.ndarray]] | None = None
            ) -> bytes:
  """Converts a model.

  Args:
    trained: the model.
    precision: of the weights, one of PRECISIONS; with 'dynamic_range' they are
      int8 and the products are taken in int8 too, with 'int8' the activations
      are int8 as well. Inputs and outputs stay float32.
    metadata: text to put inside.
    calibration_images: yields real images, float32 [height, width, 3] of 0 to
      255, from which 'int8' learns the ranges of the activations.

  Returns:
    The contents of the file.

  Raises:
    ValueError: if there is no such precision, or nothing to calibrate on.
  """
  if precision not in PRECISIONS:
    raise ValueError(
        f'--precision={precision} must be one of {", ".join(PRECISIONS)}.')
  function = plain_function.build(trained)
  converter = tf.lite.TFLiteConverter.from_concrete_functions(
      [function.get_concrete_function()], weights_tree.mirror(trained.model))
  if precision != 'float32':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  if precision == 'float16':
    converter.target_spec.supported_types = [tf.float16]
  if precision == 'int8':
    if calibration_images is None:
      raise ValueError('int8 needs images to calibrate on.')
    converter.representative_dataset = lambda: (
        {plain_function.INPUT: image[np.newaxis]}
        for image in calibration_images())
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
  entry.name = description.KEY
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
    if entry.name == description.KEY.encode():
      return bytes(unpacked.buffers[entry.buffer].data).decode()
  raise ValueError(f'the LiteRT file has no metadata {description.KEY!r}.')
