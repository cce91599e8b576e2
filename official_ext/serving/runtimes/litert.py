"""Runs a LiteRT file; needs the extra `litert`."""

from __future__ import annotations

import pathlib

import numpy as np

from official_ext.command_line import library_logs
from official_ext.serving.formats import description
from official_ext.serving.formats import extras
from official_ext.serving.formats import litert
from official_ext.serving.formats import names
from official_ext.serving.runtimes import runner


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
    with runner.naming_damaged(path, 'LiteRT'), (
        library_logs.without_native_messages()):
      self.description = description.parse(litert.read_metadata(contents))
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
