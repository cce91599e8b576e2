"""Loads exports of any format."""

from __future__ import annotations

import os

import tensorflow as tf

from official_ext.serving.runtimes import litert
from official_ext.serving.runtimes import onnx
from official_ext.serving.runtimes import runner as runner_lib
from official_ext.serving.runtimes import saved_model

_RUNNERS = {'.tflite': litert.LiteRtRunner, '.onnx': onnx.OnnxRunner}


def load_all(path: str, num_threads: int) -> list[runner_lib.Runner]:
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
  runners: list[runner_lib.Runner] = []
  try:
    runners.append(saved_model.SavedModelRunner(path))
  except ValueError:
    if not files:
      raise
  return runners + [
      runner for file in files for runner in load_all(file, num_threads)]


def _runner_class(path: str):
  """Returns what runs a file, by the end of its name; None of a folder."""
  return _RUNNERS.get(os.path.splitext(path)[1])
