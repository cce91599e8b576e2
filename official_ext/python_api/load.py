"""Loads a trained model or an export, to be asked from Python."""

from __future__ import annotations

from collections.abc import Sequence
import os

import tensorflow as tf

from official_ext.checkpoints import object_graph
from official_ext.command_line import errors
from official_ext.command_line import paths
from official_ext.params import experiment
from official_ext.python_api import arguments
from official_ext.python_api import funnel
from official_ext.serving.formats import versions
from official_ext.trained import trained_model


def load(path: str | os.PathLike, checkpoint: str | None = None,
         ema: bool | None = None,
         image_size: int | Sequence[int] | None = None) -> funnel.Funnel:
  """Loads a model that classifies images.

  Args:
    path: the folder of a training, the prefix of one of its checkpoints, or an
      exported SavedModel or a folder of its versions, of which the newest is
      taken.
    checkpoint: of a training: 'latest', 'best' or a prefix; None: 'latest'.
    ema: of a training: whether to take the exponential moving averages of the
      weights; None: where its evaluation does.
    image_size: of a training: side of the images, px, or (height, width); the
      position embedding is resampled. None: as trained.

  Returns:
    The model: a `funnel.TrainedFunnel` of a training, with the Keras model and
    its features, or a `funnel.ExportedFunnel`.

  Raises:
    ValueError: if there is no such model, it cannot be read, or an option is
      for a training and the path is an export.
  """
  path = arguments.path('the model', path)
  if checkpoint is not None:
    checkpoint = arguments.path('checkpoint', checkpoint)
  paths.check_no_pattern('the model', path)
  sides = None if image_size is None else arguments.sides(image_size)
  if tf.io.gfile.exists(os.path.join(path, experiment.SAVED_FILE)):
    return _trained(path, trained_model.Selection(
        checkpoint or trained_model.LATEST, ema, sides))
  if is_export(path):
    for name, value in (('checkpoint', checkpoint), ('ema', ema),
                        ('image_size', image_size)):
      if value is not None:
        raise errors.UserError(
            f'{name}={value!r} is for the folder of a training, and {path} is '
            'an export, whose weights are chosen. Leave it out.')
    return funnel.ExportedFunnel(path)
  _check_exists(path)
  prefix = object_graph.find(path)
  model_dir = trained_model.model_dir_of(prefix)
  if not model_dir:
    raise errors.UserError(
        f'there is no {experiment.SAVED_FILE} beside the checkpoint {prefix}. '
        'Give the folder of a training, or an export.')
  if checkpoint is not None:
    raise errors.UserError(
        f'checkpoint={checkpoint!r} is looked for in the folder of a training, '
        f'and {path} is a checkpoint. Leave it out, or give {model_dir}.')
  return _trained(model_dir, trained_model.Selection(prefix, ema, sides))


def _trained(model_dir: str, selection: trained_model.Selection
             ) -> funnel.Funnel:
  with arguments.in_words_of_python():
    return funnel.TrainedFunnel(trained_model.find(model_dir, selection))


def is_export(path: str) -> bool:
  """Says whether a path is an exported SavedModel, or a folder of versions."""
  return any(
      tf.io.gfile.exists(os.path.join(path, name, versions.MODEL_FILE))
      for name in ('', *map(str, versions.numbers(path))))


def _check_exists(path: str) -> None:
  """Refuses what is neither a training, a checkpoint nor a SavedModel."""
  if os.path.splitext(path)[1] in ('.tflite', '.onnx'):
    raise errors.UserError(
        f'{path} takes images that its caller has resized. Give the training, '
        'or the SavedModel, that was exported beside it.')
  if os.path.splitext(path)[1] in ('.keras', '.h5'):
    raise errors.UserError(
        f'{path} holds a Keras model, which does not know its preprocessing. '
        'Load it with tf_keras.models.load_model, or give the training.')
