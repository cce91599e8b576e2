"""Runs a SavedModel with TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
import os

import numpy as np
import tensorflow as tf

from official_ext.serving.formats import description
from official_ext.serving.formats import names
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
    # Kept: the signature does not keep its model alive.
    self._loaded = tf.saved_model.load(self.path)
    self._serve = self._loaded.signatures[names.DEFAULT_SIGNATURE]

  def logits(self, batch: Sequence[bytes]) -> np.ndarray:
    """Returns the logits of the bytes of image files."""
    outputs = self._serve(**{names.IMAGE_BYTES: tf.constant(batch)})
    return outputs[names.LOGITS].numpy()
