"""Converts a trained model to ONNX; needs the extra `onnx`."""

from __future__ import annotations

from official_ext.command_line import library_logs
from official_ext.serving.formats import extras
from official_ext.serving.formats import inference_function
from official_ext.serving.formats import names
from official_ext.trained import trained_model

# What onnxruntime 1.14 and later run; LayerNorm and GELU need no more.
OPSET = 17


def convert(trained: trained_model.TrainedModel, metadata: str) -> bytes:
  """Converts a model, in float32.

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
  function = inference_function.build(trained)
  with library_logs.without_native_messages():
    model, _ = tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=OPSET)
  onnx.helper.set_model_props(model, {names.DESCRIPTION_KEY: metadata})
  return model.SerializeToString()
