"""Loads exports of any format, and says what they are then: runners.

Legend: B images, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from official_ext.serving.runtimes import runners as runners_lib

_RUNNERS = {
    '.tflite': runners_lib.LiteRtRunner, '.onnx': runners_lib.OnnxRunner}


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
    """Returns the logits of a batch, float32 [B, C]."""


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
  runner_class = _runner_class(path)
  if runner_class:
    if not tf.io.gfile.exists(path):
      raise ValueError(f'{path} does not exist.')
    return [runner_class(path, num_threads)]
  files = sorted(
      os.path.join(path, name) for name in tf.io.gfile.listdir(path)
      if _runner_class(name)) if tf.io.gfile.isdir(path) else []
  runners: list[Runner] = []
  try:
    runners.append(runners_lib.SavedModelRunner(path))
  except ValueError:
    if not files:
      raise
  return runners + [
      runner for file in files for runner in load_all(file, num_threads)]


def _runner_class(path: str):
  """Returns what runs a file, by the end of its name; None of a folder."""
  return _RUNNERS.get(os.path.splitext(path)[1])
