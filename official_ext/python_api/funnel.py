"""A trained model or an export that answers in Python, as a server would.

Legend: N images, C classes, F features, h, w sides of the model's input.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
import functools
import itertools
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.python_api import arguments
from official_ext.python_api import image_inputs
from official_ext.serving.formats import description
from official_ext.serving.formats import names
from official_ext.serving.formats import signatures
from official_ext.serving.runtimes import classifier
from official_ext.tasks import class_names as class_names_lib
from official_ext.tasks import exif_orientation
from official_ext.trained import trained_model

_IMAGE_TENSOR = 'image_tensor'


class Funnel(abc.ABC):
  """A model that classifies images.

  Each method takes images in one of these forms: the path of a file of any form
  that the conversion takes; the bytes of a file; an array, [height, width],
  [height, width, 1] or [height, width, 3], of any height and width, or a batch
  of such, [N, height, width, 1 or 3]; a list of these. Arrays hold RGB or gray
  values: integers of 0 to 255; or floats up to `max_value`, 255 or 1, which are
  rounded to the nearest of 256 values. Without `max_value` they go up to 255,
  and an array of which nothing exceeds 16 is refused, since 1 or 16 may be its
  white. Images are cropped, resized and normalised as the evaluation of the
  training does.

  A method raises ValueError if one of the images is none, naming it.

  Attributes:
    path: where it is from.
  """
  path: str

  @property
  @abc.abstractmethod
  def class_names(self) -> list[str]:
    """The names of the C classes; 'class 0' and so on if they have none."""

  @abc.abstractmethod
  def _orientations(self) -> str:
    """Says whether files are turned, as `exif_orientation.of_model` does."""

  @abc.abstractmethod
  def _ask(self, kind: str, batch: tf.Tensor) -> Mapping[str, tf.Tensor]:
    """Answers a batch of one kind of `names.SIGNATURES`."""

  def logits(self, images: Any, batch_size: int = 32,
             max_value: float | None = None) -> np.ndarray:
    """Computes the logits of images.

    Args:
      images: N, in one of the forms above.
      batch_size: how many are computed at once.
      max_value: of arrays of floats.

    Returns:
      float32 [N, C].
    """
    return self._outputs(images, batch_size, max_value)[names.LOGITS]

  def predict(self, images: Any, batch_size: int = 32,
              max_value: float | None = None) -> np.ndarray:
    """Computes the probabilities of the classes.

    Args:
      images: N, in one of the forms above.
      batch_size: how many are computed at once.
      max_value: of arrays of floats.

    Returns:
      float32 [N, C], in the order of `class_names`; as
      `official_ext.serving.predict` prints them.
    """
    return self._outputs(images, batch_size, max_value)[names.PROBS]

  def classify(self, images: Any, top_k: int = 5, batch_size: int = 32,
               max_value: float | None = None
               ) -> list[list[tuple[str, float]]]:
    """Names the most probable classes.

    Args:
      images: N, in one of the forms above.
      top_k: how many classes to name at most.
      batch_size: how many are computed at once.
      max_value: of arrays of floats.

    Returns:
      For each image name and probability, the most probable class first; of
      equal ones the first, as evaluation ranks them.
    """
    top_k = arguments.whole_number('top_k', top_k)
    outputs = self._outputs(images, batch_size, max_value)
    order = (-outputs[names.LOGITS]).argsort(axis=1, kind='stable')
    return [[(self.class_names[index], float(probs[index]))
             for index in indices[:top_k]]
            for indices, probs in zip(order, outputs[names.PROBS])]

  def features(self, images: Any, batch_size: int = 32,
               max_value: float | None = None) -> np.ndarray:
    """Computes what the head reads; a training has it, an export has not.

    Args:
      images: N, in one of the forms above.
      batch_size: how many are computed at once.
      max_value: of arrays of floats.

    Returns:
      float32 [N, F].
    """
    raise self._has_logits_alone()

  def preprocess(self, images: Any,
                 max_value: float | None = None) -> np.ndarray:
    """Makes of images what the Keras model takes; a training does.

    Args:
      images: N, in one of the forms above.
      max_value: of arrays of floats.

    Returns:
      float32 [N, h, w, 3], cropped, resized and normalised.
    """
    raise self._has_logits_alone()

  def _has_logits_alone(self) -> errors.UserError:
    return errors.UserError(
        f'{self.path} is an export, which answers with logits and '
        'probabilities alone. Load the training that it was made of for its '
        'features, its inputs and its Keras model.')

  def _outputs(self, images: Any, batch_size: int,
               max_value: float | None) -> dict[str, np.ndarray]:
    """Returns logits and probabilities, float32 [N, C]."""
    inputs = image_inputs.collect(images, max_value, self._orientations())
    rows = [row for some in _in_batches(inputs, batch_size)
            for row in self._rows(some)]
    logits, probs = map(np.stack, zip(*rows))
    return {names.LOGITS: logits, names.PROBS: probs}

  def _rows(self, inputs: Sequence[image_inputs.ImageInput]) -> list[Any]:
    """Returns logits and probabilities of each image."""
    # What can be asked for at once: files, and arrays of one size.
    alike: dict[Any, list[int]] = {}
    for index, one in enumerate(inputs):
      shape = None if isinstance(one.value, bytes) else one.value.shape
      alike.setdefault(shape, []).append(index)
    rows: list[Any] = [None] * len(inputs)
    for indices in alike.values():
      outputs = self._answer([inputs[index] for index in indices])
      for index, *row in zip(
          indices, outputs[names.LOGITS].numpy(), outputs[names.PROBS].numpy()):
        rows[index] = row
    return rows

  def _answer(self, inputs: Sequence[image_inputs.ImageInput]
              ) -> Mapping[str, tf.Tensor]:
    """Answers a batch, and names the image that is refused."""
    kind = _kind(inputs[0])
    values = [one.value for one in inputs]
    batch = tf.constant(values) if kind == names.IMAGE_BYTES else np.stack(
        values)
    try:
      return self._ask(kind, batch)
    except tf.errors.InvalidArgumentError as error:
      if len(inputs) > 1:
        for one in inputs:
          self._answer([one])
      raise errors.UserError(
          f'{inputs[0].name}: {classifier.explain(error)}') from error


class TrainedFunnel(Funnel):
  """A training's model.

  Attributes:
    path: the prefix of its checkpoint.
    model: the classifier, a Keras model in float32 from what `preprocess`
      returns to logits.
    trained: the model with the configuration of its training.
  """

  def __init__(self, trained: trained_model.TrainedModel):
    """Prepares a model.

    Args:
      trained: the model.
    """
    self.path = trained.checkpoint
    self.model: tf_keras.Model = trained.model
    self.trained = trained
    self._module = signatures.ServingModule(
        trained.params, trained.model, self.class_names,
        orientations=self._orientations())
    self._signatures: dict[str, Any] = {}

  @functools.cached_property
  def class_names(self) -> list[str]:
    return self.trained.class_names or class_names_lib.numbered(
        self.trained.params.task.model.num_classes)

  def _orientations(self) -> str:
    return exif_orientation.of_model(self.trained.data)

  def _ask(self, kind, batch):
    if kind not in self._signatures:
      self._signatures |= self._module.get_inference_signatures({kind: kind})
    return self._signatures[kind](**{kind: tf.convert_to_tensor(batch)})

  def features(self, images, batch_size=32, max_value=None):
    return np.concatenate([
        self._features(np.stack(some)).numpy() for some in _in_batches(
            self._prepared(images, max_value), batch_size)])

  def preprocess(self, images, max_value=None):
    return np.stack(list(self._prepared(images, max_value)))

  def _prepared(self, images: Any,
                max_value: float | None) -> Iterator[np.ndarray]:
    """Yields the inputs of the model, float32 [h, w, 3]."""
    return map(self._prepare, image_inputs.collect(
        images, max_value, self._orientations()))

  def _prepare(self, image: image_inputs.ImageInput) -> np.ndarray:
    """Returns the input of the model, float32 [h, w, 3]."""
    prepare = (self._prepare_file if _kind(image) == names.IMAGE_BYTES
               else self._prepare_pixels)
    try:
      return prepare(tf.constant(image.value)).numpy()
    except tf.errors.InvalidArgumentError as error:
      raise errors.UserError(
          f'{image.name}: {classifier.explain(error)}') from error

  @functools.cached_property
  def _prepare_file(self):
    return tf.function(self._module.preprocess, input_signature=[
        tf.TensorSpec([], tf.string)])

  @functools.cached_property
  def _prepare_pixels(self):
    return tf.function(self._module.preprocess_tensor, input_signature=[
        tf.TensorSpec([None, None, 3], tf.uint8)])

  @functools.cached_property
  def _features(self):
    below_head = tf_keras.Model(
        self.model.inputs, self.model.layers[-1].input)
    return tf.function(lambda images: tf.cast(
        below_head(images, training=False), tf.float32), reduce_retracing=True)


class ExportedFunnel(Funnel):
  """An exported SavedModel.

  Attributes:
    path: the folder of its version.
  """

  def __init__(self, path: str):
    """Loads an export.

    Args:
      path: folder of a SavedModel, or of numbered versions of it.

    Raises:
      ValueError: if there is none of this project.
    """
    self.path = classifier.find_version(path)
    self._description = description.read(self.path)
    # Kept: a signature does not keep its model alive.
    with library_logs.without_unrestored():
      self._loaded = tf.saved_model.load(self.path)

  @property
  def model(self) -> tf_keras.Model:
    """An export has no Keras model."""
    raise self._has_logits_alone()

  @functools.cached_property
  def class_names(self) -> list[str]:
    outputs = self._loaded.signatures[
        names.DEFAULT_SIGNATURE].structured_outputs
    return self._description['classes'] or class_names_lib.numbered(
        outputs[names.LOGITS].shape[-1])

  def _orientations(self) -> str:
    return self._description['preprocessing'][exif_orientation.KEY]

  def _ask(self, kind, batch):
    serve = self._loaded.signatures[names.SIGNATURES[kind]]
    return serve(**{kind: tf.convert_to_tensor(batch)})


def _kind(image: image_inputs.ImageInput) -> str:
  """Returns which of `names.SIGNATURES` takes an image."""
  return (names.IMAGE_BYTES if isinstance(image.value, bytes)
          else _IMAGE_TENSOR)


def _in_batches(items: Iterator[Any], batch_size: int) -> Iterator[list[Any]]:
  """Yields lists of as many items, of which the last may hold fewer."""
  batch_size = arguments.whole_number('batch_size', batch_size)
  while some := list(itertools.islice(items, batch_size)):
    yield some
