"""Exports of every form behind one interface: images in, logits out.

Legend: B images, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
import json
import os
import pathlib
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from official_ext.command_line import library_logs
from official_ext.serving import classifier
from official_ext.serving import description
from official_ext.serving import litert_file
from official_ext.serving import plain_function

# Forms of a LiteRT file that are rounded on purpose say so in their name.
_EXACT = 'float32'


class Runner(Protocol):
  """An export that is loaded.

  Attributes:
    name: what it is.
    path: where it is.
    num_bytes: of all its files.
    description: what it says of itself.
    takes_bytes: whether it takes the bytes of image files; else, resized
      images, float32 [B, height, width, 3] of 0 to 255.
    is_exact: whether its arithmetic is the training's, in float32.
  """
  name: str
  path: str
  num_bytes: int
  description: dict[str, Any]
  takes_bytes: bool
  is_exact: bool

  def logits(self, batch: Sequence[bytes] | np.ndarray) -> np.ndarray:
    """float32 [B, C]."""


class SavedModelRunner:
  """A SavedModel, by its signature for image bytes."""
  name = 'SavedModel'
  takes_bytes = True
  is_exact = True

  def __init__(self, path: str):
    self.path = classifier.find_version(path)
    self.num_bytes = sum(
        tf.io.gfile.stat(os.path.join(folder, name)).length
        for folder, _, names in tf.io.gfile.walk(self.path) for name in names)
    self.description = description.read(self.path)
    # Kept: the signature does not keep its model alive.
    self._loaded = tf.saved_model.load(self.path)
    self._serve = self._loaded.signatures['serving_default']

  def logits(self, batch: Sequence[bytes]) -> np.ndarray:
    return self._serve(image_bytes=tf.constant(batch))['logits'].numpy()


class LiteRtRunner:
  """A LiteRT file."""
  takes_bytes = False

  def __init__(self, path: str, num_threads: int):
    try:
      from ai_edge_litert import interpreter  # pylint: disable=g-import-not-at-top
    except ImportError as error:
      raise ValueError(
          f'{path} needs the extra litert (ai-edge-litert is missing). Install '
          "it: pip install '.[litert]'.") from error
    self.path = path
    contents = pathlib.Path(path).read_bytes()
    self.num_bytes = len(contents)
    with _told_by_name(path, 'LiteRT'), library_logs.without_native_messages():
      self.description = json.loads(litert_file.read_metadata(contents))
      self.name = f'LiteRT {self.description["precision"]}'
      self.is_exact = self.description['precision'] == _EXACT
      self._interpreter = interpreter.Interpreter(
          model_path=path, num_threads=num_threads)
      # Not the interpreter's indices: LiteRT orders the outputs as it likes.
      self._run = self._interpreter.get_signature_runner()
      # The first run prepares the kernels, and says so.
      height, width = self.description['preprocessing']['image_size']
      self.logits(np.zeros([1, height, width, 3], np.float32))

  def logits(self, batch: np.ndarray) -> np.ndarray:
    return self._run(**{plain_function.INPUT: batch})['logits']


class OnnxRunner:
  """An ONNX file."""
  name = 'ONNX float32'
  takes_bytes = False
  is_exact = True

  def __init__(self, path: str, num_threads: int):
    try:
      import onnxruntime  # pylint: disable=g-import-not-at-top
    except ImportError as error:
      raise ValueError(
          f'{path} needs the extra onnx (onnxruntime is missing). Install it: '
          "pip install '.[onnx]'.") from error
    self.path = path
    self.num_bytes = os.path.getsize(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    with _told_by_name(path, 'ONNX'):
      self._session = onnxruntime.InferenceSession(
          path, options, providers=['CPUExecutionProvider'])
      self.description = json.loads(
          self._session.get_modelmeta().custom_metadata_map[description.KEY])

  def logits(self, batch: np.ndarray) -> np.ndarray:
    return self._session.run(['logits'], {plain_function.INPUT: batch})[0]


def load_all(path: str, num_threads: int) -> list[Runner]:
  """Loads what a path means.

  Args:
    path: a .tflite or .onnx file, a SavedModel, or a folder of versions and
      such files, of which the newest version and every file is taken.
    num_threads: threads of the LiteRT and ONNX runtimes.

  Returns:
    At least one export.

  Raises:
    ValueError: if there is none.
  """
  if path.endswith('.tflite'):
    return [LiteRtRunner(_existing(path), num_threads)]
  if path.endswith('.onnx'):
    return [OnnxRunner(_existing(path), num_threads)]
  files = sorted(
      os.path.join(path, name) for name in tf.io.gfile.listdir(path)
      if name.endswith(('.tflite', '.onnx'))) if tf.io.gfile.isdir(path) else []
  runners: list[Runner] = []
  try:
    runners.append(SavedModelRunner(path))
  except ValueError:
    if not files:
      raise
  return runners + [
      runner for file in files for runner in load_all(file, num_threads)]


@contextlib.contextmanager
def _told_by_name(path: str, kind: str) -> Iterator[None]:
  """Names the file that a runtime fails on."""
  try:
    yield
  # A damaged file ends in whatever its bytes happen to mean.
  except Exception as error:  # pylint: disable=broad-exception-caught
    raise ValueError(
        f'{path} is not the {kind} file of an export, or is damaged '
        f'({type(error).__name__}). Export it again.') from error


def _existing(path: str) -> str:
  if not tf.io.gfile.exists(path):
    raise ValueError(f'{path} does not exist.')
  return path
