"""Classifies images with a SavedModel; needs nothing but TensorFlow."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
import dataclasses
import os
import re

import numpy as np
import tensorflow as tf

from official_ext.command_line import paths
from official_ext.serving.formats import names
from official_ext.serving.formats import versions
from official_ext.tasks import image_header


@dataclasses.dataclass(frozen=True)
class Prediction:
  """A class that an image may be of.

  Attributes:
    number: of the class.
    name: for reading.
    probability: 0 to 1.
  """
  number: int
  name: str
  probability: float


class Classifier:
  """An exported model and the names of its classes."""

  def __init__(self, path: str):
    """Loads an export.

    Args:
      path: folder of a SavedModel, or of numbered versions of it.

    Raises:
      ValueError: if there is no SavedModel with our signature.
    """
    path = find_version(path)
    # Kept: the signature does not keep its model alive.
    self._loaded = tf.saved_model.load(path)
    self._serve = self._loaded.signatures.get(names.DEFAULT_SIGNATURE)
    inputs = list(self._serve.structured_input_signature[1]
                  if self._serve is not None else {})
    if inputs != [names.IMAGE_BYTES]:
      raise ValueError(
          f'{path} has no signature {names.DEFAULT_SIGNATURE!r} that takes '
          f'{names.IMAGE_BYTES!r} alone; it takes {inputs}. Export it with '
          'official_ext.serving.export.')
    refuse_masks(self._serve.structured_outputs, path)
    probs = self._serve.structured_outputs[names.PROBS]
    self._class_names = []
    class_names = os.path.join(path, 'assets', names.CLASS_NAMES_FILE)
    if tf.io.gfile.exists(class_names):
      with tf.io.gfile.GFile(class_names) as file:
        self._class_names = file.read().removesuffix('\n').split('\n')
    self.num_classes: int = probs.shape[-1]

  def classify(self, encoded: bytes, top_k: int
               ) -> Iterator[tuple[str, float]]:
    """Classifies one image.

    Args:
      encoded: the bytes of an image file.
      top_k: how many classes to return at most.

    Yields:
      Name and probability, the most probable class first.

    Raises:
      ValueError: if the bytes are not an image that can be decoded.
    """
    found, = self.classify_all([encoded], top_k)
    if isinstance(found, ValueError):
      raise found
    for one in found:
      yield one.name, one.probability

  def classify_all(self, images: Sequence[bytes], top_k: int
                   ) -> list[list[Prediction] | ValueError]:
    """Classifies images at once.

    Args:
      images: the bytes of image files, at least one.
      top_k: how many classes to return at most.

    Returns:
      For each image its classes, the most probable first; or why it cannot be
      decoded.
    """
    try:
      outputs = self._serve(**{names.IMAGE_BYTES: tf.constant(list(images))})
    except tf.errors.InvalidArgumentError as error:
      if len(images) == 1:
        return [ValueError(explain(error))]
      # One that cannot be decoded fails the batch, and is not named.
      return [found for image in images
              for found in self.classify_all([image], top_k)]
    return [self._ranked(logits, probs, top_k) for logits, probs in zip(
        outputs[names.LOGITS].numpy(), outputs[names.PROBS].numpy())]

  def _ranked(self, logits: np.ndarray, probs: np.ndarray, top_k: int
              ) -> list[Prediction]:
    # Equal ones by their number, as evaluation ranks them.
    return [
        Prediction(
            int(index), self._class_names[index]
            if index < len(self._class_names) else f'class {index}',
            float(probs[index]))
        for index in (-logits).argsort(kind='stable')[:top_k]]


def explain(error: tf.errors.InvalidArgumentError) -> str:
  """Says why an export refused an image.

  Args:
    error: what its graph raised.

  Returns:
    The reason, in the graph's own words if it has some.
  """
  asserted = re.search(r'assertion failed: (\[.*\])', error.message)
  reasons = re.findall(r'\[([^\[\]]+)\]', asserted[1]) if asserted else [
      image_header.NOT_AN_IMAGE]
  return ': '.join(reasons)


def refuse_masks(outputs: Container[str], path: str) -> None:
  """Refuses an export that segments.

  Args:
    outputs: names of what it answers.
    path: of the export.

  Raises:
    ValueError: if it answers with masks.
  """
  if names.MASK in outputs:
    raise ValueError(
        f'{path} segments images, and this is of models that classify them. '
        'official_ext.analysis.segmentation draws what a training that '
        'segments predicts.')


def find_version(path: str) -> str:
  """Finds the folder of a SavedModel: itself, or the newest version in it.

  Args:
    path: folder of a SavedModel, or of numbered versions of it.

  Returns:
    The folder that holds saved_model.pb.

  Raises:
    ValueError: if there is none.
  """
  paths.check_no_pattern('the export', path)
  if not tf.io.gfile.isdir(path):
    raise ValueError(
        f'{path} is a file, but a SavedModel is a folder.{_of_others([path])}'
        if tf.io.gfile.exists(path) else f'{path} does not exist.')
  newest_first = map(str, versions.numbers(path))
  for folder in (path, *(os.path.join(path, name) for name in newest_first)):
    if tf.io.gfile.exists(os.path.join(folder, versions.MODEL_FILE)):
      return folder
  inside = [name for folder in (path, *(
      os.path.join(path, str(number)) for number in versions.numbers(path)))
            for name in tf.io.gfile.listdir(folder)]
  raise ValueError(
      f'{path} holds no SavedModel: neither {versions.MODEL_FILE} nor a '
      f'numbered version with one.{_of_others(inside)}')


def _of_others(paths_found: Sequence[str]) -> str:
  """Says what to do, where there is a file for another runtime instead."""
  if not any(path.endswith(('.tflite', '.onnx')) for path in paths_found):
    return ''
  return (' LiteRT and ONNX files run elsewhere: export the training with '
          '--format=saved_model too, or give its folder.')
