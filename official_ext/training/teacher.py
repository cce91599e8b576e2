"""The teacher of a training: found, compared with it, and restored.

What a teacher is given is what the student is given. So it must have been
trained on images of the same size, cut into the same patches and normalised
alike, and answer with the same classes.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
import os
from typing import Any

from official.core import config_definitions as cfg
from official.core import task_factory
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import choose
from official_ext.checkpoints import integrity
from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.checkpoints import preprocessing
from official_ext.configs import image_classification
from official_ext.modeling import specs
from official_ext.params import experiment
from official_ext.tasks import distillation
from official_ext.trained import trained_model


def find(params: cfg.ExperimentConfig) -> distillation.Teacher | None:
  """Finds the teacher of an experiment; runs no TensorFlow operation.

  Args:
    params: the experiment's configuration, resolved.

  Returns:
    The teacher, not restored yet; None if the experiment has none.

  Raises:
    ValueError: if there is no such model, or it is not one for the same images
      and classes, naming what differs.
  """
  if not isinstance(params.task, image_classification.ImageClassificationTask):
    return None
  path = params.task.distillation.teacher
  if not path:
    return None
  try:
    checkpoint = _find(path)
    folder = trained_model.model_dir_of(checkpoint)
    if folder is None:
      raise ValueError(
          f'there is no {experiment.SAVED_FILE} beside {checkpoint}, which '
          'says what model it is of. Give the folder of the training or of the '
          'import, or a checkpoint in it; of an export, the training that it '
          'was exported from.')
    found = experiment.load_saved(folder)
    metadata.check_same_architecture(checkpoint, metadata.describe(found))
    check_fits(found.task, params.task, metadata.read(checkpoint))
  except ValueError as error:
    raise ValueError(f'task.distillation.teacher={path}: {error}') from error
  return distillation.Teacher(
      path, checkpoint, found.task, metadata.read_data(checkpoint),
      functools.partial(_restore, found, checkpoint))


def check_fits(there: image_classification.ImageClassificationTask,
               here: image_classification.ImageClassificationTask,
               known: Mapping[str, Any] | None = None) -> None:
  """Refuses a teacher that is not one for the same images and classes.

  Args:
    there: the task of the teacher, which may be not trained yet.
    here: the task of the training that learns from it.
    known: what a checkpoint of the teacher says of itself.

  Raises:
    ValueError: naming what differs, and what to set instead.
  """
  _check_same_problem(there, here)
  preprocessing.check_same(
      {preprocessing.KEY: preprocessing.describe(there), **(known or {})},
      here, 'it')
  _check_class_tokens(there, here)


def _find(path: str) -> str:
  """Finds the checkpoint that a path means."""
  try:
    return object_graph.find(path)
  except ValueError as error:
    if tf.io.gfile.exists(path) and not choose.saved(path):
      raise ValueError(
          'it holds no checkpoint. Give the folder of a training or of an '
          'import, which official_ext.pretrained.import_vit makes of published '
          'weights, or a checkpoint in it.') from error
    if not tf.io.gfile.exists(path) and not integrity.files(path):
      raise ValueError(
          'there is no such folder or checkpoint. Give the folder of a '
          'training or of an import, or the prefix of a checkpoint in '
          'it.') from error
    raise


def _check_same_problem(
    there: image_classification.ImageClassificationTask,
    here: image_classification.ImageClassificationTask) -> None:
  """Compares the images and the number of classes of two tasks."""
  if there.train_data.is_multilabel:
    raise ValueError(
        'it was trained on images of several classes, and its probabilities '
        'are not those of one. Take another teacher.')
  theirs, ours = there.model, here.model
  if theirs.num_classes != ours.num_classes:
    raise ValueError(
        f'it has {theirs.num_classes} classes, and this model has '
        f'{ours.num_classes}. Take a teacher that was trained on the same '
        'classes, such as a ViT fine-tuned on these data.')
  if list(theirs.input_size) != list(ours.input_size):
    height, width, _ = theirs.input_size
    raise ValueError(
        f'it takes images of {_px(theirs.input_size)}, and this model '
        f'{_px(ours.input_size)}. Fine-tune it at that size first, or set '
        f'task.model.input_size=[{height},{width},3].')
  grids = [specs.of_model(model) for model in (theirs, ours)]
  if all(grids) and grids[0].grid != grids[1].grid:
    raise ValueError(
        f'it cuts an image into {_grid(grids[0])} patches, and this model into '
        f'{_grid(grids[1])}. Take a teacher with patches of '
        f'{grids[1].patch_size} px, or set '
        f'task.model.backbone.funnel_vit.patch_size={grids[0].patch_size}.')


def _check_class_tokens(
    there: image_classification.ImageClassificationTask,
    here: image_classification.ImageClassificationTask) -> None:
  """Refuses to compare class tokens that are not there, or of other widths."""
  if not here.distillation.representation_weight:
    return
  weight = 'task.distillation.representation_weight=0'
  widths = []
  for whose, task in (('the teacher', there), ('this model', here)):
    spec = specs.of_model(task.model)
    if spec is None or not spec.has_class_token:
      raise ValueError(
          f'{whose} has no class token whose representation could be matched. '
          f'Set {weight}.')
    widths.append(spec.blocks[-1].hidden_size)
  if widths[0] != widths[1]:
    raise ValueError(
        f'its class token has width {widths[0]}, and that of this model '
        f'{widths[1]}, so they cannot be compared. Set {weight}, or give the '
        'last block the width of the teacher.')


def _restore(params: cfg.ExperimentConfig, checkpoint: str) -> tf_keras.Model:
  """Restores a teacher, to be computed in the precision of this training."""
  found = trained_model.load(
      params, os.path.dirname(checkpoint),
      trained_model.Selection(checkpoint)).model
  if tf_keras.mixed_precision.global_policy().name == 'float32':
    return found
  model = task_factory.get_task(params.task).build_model()
  model.set_weights(found.get_weights())
  return model


def _px(size: list[int]) -> str:
  return f'{size[0]} px high and {size[1]} px wide'


def _grid(spec: specs.ModelSpec) -> str:
  return f'{spec.grid[0]} x {spec.grid[1]}'
