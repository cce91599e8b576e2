"""Runs an ONNX file with ONNX Runtime; needs the extra `onnx`."""

from __future__ import annotations

import os

import numpy as np

from official_ext.serving.formats import description
from official_ext.serving.formats import extras
from official_ext.serving.formats import names
from official_ext.serving.runtimes import runner


class OnnxRunner:
  """An ONNX file."""
  name = 'ONNX float32'
  takes_bytes = False
  is_exact = True

  def __init__(self, path: str, num_threads: int):
    """Loads a file.

    Args:
      path: the file.
      num_threads: threads of the runtime.

    Raises:
      ValueError: if the extra is missing, or the file is not an export.
    """
    onnxruntime = extras.load('onnxruntime', 'onnx', path)
    self.path = path
    self.num_bytes = os.path.getsize(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    with runner.naming_damaged(path, 'ONNX'):
      self._session = onnxruntime.InferenceSession(
          path, options, providers=['CPUExecutionProvider'])
      metadata = self._session.get_modelmeta().custom_metadata_map
      self.description = description.parse(metadata[names.DESCRIPTION_KEY])

  def logits(self, batch: np.ndarray) -> np.ndarray:
    """Returns the logits of resized images."""
    return self._session.run([names.LOGITS], {names.IMAGES: batch})[0]
