"""Runs exports: with TensorFlow, LiteRT and ONNX Runtime.

The last two need the extras `litert` and `onnx`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import os
import pathlib

import numpy as np
import tensorflow as tf

from official_ext.command_line import extras
from official_ext.command_line import library_logs
from official_ext.serving.formats import description
from official_ext.serving.formats import names
from official_ext.serving.formats import single_file
from official_ext.serving.runtimes import classifier


class SavedModelRunner:
  """A SavedModel, by its signature for image bytes."""
  name = 'SavedModel'
  takes_bytes = True
  is_exact = True

  def __init__(self, path: str):
    """Loads an export.

    Args:
      path: folder of a SavedModel, or of numbered versions of it.

    Raises:
      ValueError: if there is none, or it is not of this project.
    """
    self.path = classifier.find_version(path)
    self.num_bytes = sum(
        tf.io.gfile.stat(os.path.join(folder, name)).length
        for folder, _, files in tf.io.gfile.walk(self.path) for name in files)
    self.description = description.read(self.path)
    if self.description.get(names.XLA_KEY):
      self.name = 'SavedModel, XLA'
    # Kept: the signature does not keep its model alive.
    self._loaded = tf.saved_model.load(self.path)
    self._serve = self._loaded.signatures[names.DEFAULT_SIGNATURE]
    classifier.refuse_masks(self._serve.structured_outputs, self.path)

  def logits(self, batch: Sequence[bytes]) -> np.ndarray:
    """Returns the logits of the bytes of image files."""
    outputs = self._serve(**{names.IMAGE_BYTES: tf.constant(batch)})
    return outputs[names.LOGITS].numpy()


class LiteRtRunner:
  """A LiteRT file."""
  takes_bytes = False

  def __init__(self, path: str, num_threads: int):
    """Loads a file.

    Args:
      path: the file.
      num_threads: threads of the runtime.

    Raises:
      ValueError: if the extra is missing, or the file is not an export.
    """
    interpreter = extras.load('ai_edge_litert.interpreter', 'litert', path)
    self.path = path
    contents = pathlib.Path(path).read_bytes()
    self.num_bytes = len(contents)
    with _naming_damaged(path, 'LiteRT'), (
        library_logs.without_native_messages()):
      self.description = description.parse(single_file.read_metadata(contents))
      self.name = f'LiteRT {self.description["precision"]}'
      self.is_exact = self.description['precision'] == names.FLOAT32
      self._interpreter = interpreter.Interpreter(
          model_path=path, num_threads=num_threads)
      # Not the interpreter's indices: LiteRT orders the outputs as it likes.
      self._run = self._interpreter.get_signature_runner()
      # The first run prepares the kernels, and says so.
      height, width = self.description['preprocessing']['image_size']
      self.logits(np.zeros([1, height, width, 3], np.float32))

  def logits(self, batch: np.ndarray) -> np.ndarray:
    """Returns the logits of resized images."""
    return self._run(**{names.IMAGES: batch})[names.LOGITS]


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
    with _naming_damaged(path, 'ONNX'):
      self._session = onnxruntime.InferenceSession(
          path, options, providers=['CPUExecutionProvider'])
      metadata = self._session.get_modelmeta().custom_metadata_map
      self.description = description.parse(metadata[names.DESCRIPTION_KEY])

  def logits(self, batch: np.ndarray) -> np.ndarray:
    """Returns the logits of resized images."""
    return self._session.run([names.LOGITS], {names.IMAGES: batch})[0]


@contextlib.contextmanager
def _naming_damaged(path: str, kind: str) -> Iterator[None]:
  """Names the file that a runtime fails on.

  Args:
    path: the file.
    kind: what it should be.

  Yields:
    Nothing.

  Raises:
    ValueError: if the block raises anything.
  """
  try:
    yield
  # A damaged file ends in whatever its bytes happen to mean.
  except Exception as error:  # pylint: disable=broad-exception-caught
    raise ValueError(
        f'{path} is not the {kind} file of an export, or is damaged '
        f'({type(error).__name__}). Export it again.') from error
