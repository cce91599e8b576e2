"""What can be evaluated: a training, a checkpoint or an export.

Legend: B images, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
import dataclasses
import os
from typing import Any

import numpy as np
from official.core import config_definitions as cfg
from official.core import task_factory
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.command_line import tables
from official_ext.configs import image_classification as configs
from official_ext.params import experiment
from official_ext.serving import comparison
from official_ext.serving.runtimes import loading
from official_ext.serving.runtimes import runners as runners_lib
from official_ext.tasks import class_names as class_names_lib
from official_ext.tasks import exact_evaluation
from official_ext.tasks import normalization
from official_ext.trained import trained_model
from official_ext.trained import validation_data

# Has the features' names that data_prep writes.
_EXPERIMENT = 'funnel_vit_imagenet'
_TRAINING = 'training'
_FILE_ENDINGS = ('.tflite', '.onnx')


@dataclasses.dataclass
class EvaluatedModel:
  """A model, how it reads its records, and what it answers.

  Attributes:
    path: as it was typed.
    description: what it is, for JSON: its kind, checkpoint and step.
    task: the settings by which its records are read.
    known: what it knows of the data that it was trained on.
    class_names: a name for each of its C classes, for reading.
    logits: of the images of a batch, float32 [B, C].
    loss: the mean loss of a batch that it was trained with, of logits [B, C]
      and labels; None: the training is not there.
    notes: lines for the person, once all images are read.
  """
  path: str
  description: dict[str, Any]
  task: configs.ImageClassificationTask
  known: Mapping[str, Any]
  class_names: list[str]
  logits: Callable[[validation_data.Batch], np.ndarray]
  loss: Callable[[np.ndarray, np.ndarray], float] | None
  notes: Callable[[], list[str]] = list

  @property
  def is_training(self) -> bool:
    """Whether it is a training or its checkpoint, and not an export."""
    return self.description['kind'] == _TRAINING

  @property
  def is_multilabel(self) -> bool:
    """Whether images have several labels."""
    return self.task.train_data.is_multilabel


def load(path: str, checkpoint: str = trained_model.LATEST,
         ema: bool | None = None, num_threads: int = 1) -> EvaluatedModel:
  """Loads what is to be evaluated.

  Args:
    path: folder of a training, prefix of a checkpoint, folder of an export or
      of its versions (the newest is taken), or a .tflite or .onnx file, or a
      folder of one such file.
    checkpoint: LATEST or BEST of a training.
    ema: whether to take the moving averages of the weights of a training;
      None: where it keeps them.
    num_threads: threads of the LiteRT and ONNX runtimes.

  Returns:
    The model.

  Raises:
    ValueError: if there is none, or what is there is none of these.
  """
  if tf.io.gfile.exists(os.path.join(path, experiment.SAVED_FILE)):
    return _of_training(path, trained_model.find(
        path, trained_model.Selection(checkpoint, ema)))
  if tf.io.gfile.exists(f'{path}.index'):
    prefix = object_graph.find(path)
    return _of_training(path, trained_model.find(
        trained_model.model_dir_of(prefix) or os.path.dirname(prefix),
        trained_model.Selection(prefix, ema)))
  if not tf.io.gfile.exists(path):
    raise ValueError(
        f'{path} does not exist. Name the folder of a training, or an export.')
  if tf.io.gfile.isdir(path):
    return _of_export(path, _of_folder(path, num_threads))
  runner, = loading.load_all(path, num_threads)
  return _of_export(path, runner)


def _of_folder(path: str, num_threads: int) -> loading.Runner:
  """Loads the SavedModel of a folder; if there is none, its only file."""
  try:
    return runners_lib.SavedModelRunner(path)
  except ValueError:
    files = sorted(name for name in tf.io.gfile.listdir(path)
                   if name.endswith(_FILE_ENDINGS))
    if not files:
      raise
  if len(files) > 1:
    raise ValueError(
        f'{path} holds {", ".join(files)}. Name one of them, such as '
        f'{os.path.join(path, files[0])}.')
  runner, = loading.load_all(os.path.join(path, files[0]), num_threads)
  return runner


def find_records(model: EvaluatedModel, pattern: str | None
                 ) -> validation_data.Source:
  """Finds the records to evaluate a model on.

  Args:
    model: the model.
    pattern: of TFRecords; None: the validation data of its training.

  Returns:
    The records.

  Raises:
    ValueError: as `validation_data.find`, or if the training of an export is
      not there to say which.
  """
  if not pattern and model.loss is None:
    raise ValueError(
        f'the training of {model.path} is not at '
        f'{model.description["checkpoint"]} to say which records are its '
        'validation data. Name some with --data.')
  return validation_data.find(model.task, pattern)


def _of_training(path: str, trained: trained_model.TrainedModel
                 ) -> EvaluatedModel:
  """Returns a model in float32, as it is served."""
  task = trained.params.task
  classify = tf.function(
      lambda images: tf.cast(trained.model(images, training=False), tf.float32),
      reduce_retracing=True)
  precision = trained.params.runtime.mixed_precision_dtype
  notes = [] if precision in (None, '', 'float32') else [
      f'{path}: evaluated in float32, as it is served; trained in {precision}, '
      'in which the logged accuracies may differ a little']
  return EvaluatedModel(
      path,
      {'kind': _TRAINING, 'checkpoint': trained.checkpoint,
       'step': trained.step, 'ema': trained.is_ema},
      task, trained.data,
      trained.class_names or class_names_lib.numbered(task.model.num_classes),
      lambda batch: classify(batch.images).numpy(),
      _loss_of(task, trained.model.losses), lambda: notes)


def _of_export(path: str, runner: loading.Runner) -> EvaluatedModel:
  described, source = runner.description, runner.description['source']
  params = _training_of(described)
  task = (params or experiment.base(_EXPERIMENT)).task
  task = _as_described(task, described)
  normalized = normalization.of_task(task)
  counts = {'images': 0, 'turned': 0}

  def logits(batch):
    if not runner.takes_bytes:
      return runner.logits(normalized.denormalize(batch.images))
    found = comparison.answer(runner, batch.encoded, counts['images'])
    counts['images'] += len(batch.encoded)
    counts['turned'] += comparison.count_turned(runner, batch.encoded)
    return found

  def notes():
    found = [] if params else [
        f'{path}: its training is not at {source["checkpoint"]}, so its loss '
        'is not known, and records are read as data_prep writes them']
    if counts['turned']:
      images = tables.counted(counts['turned'], 'image was', 'images were')
      found.append(
          f'{path}: {images} turned by EXIF data, as the export does; the '
          "training's evaluation takes records as they stand")
    return found

  return EvaluatedModel(
      path, {'kind': runner.name, 'path': runner.path, **source}, task,
      described['model'].get(metadata.DATA_KEY, {}),
      described['classes'] or class_names_lib.numbered(
          task.model.num_classes),
      logits, _loss_of(task, []) if params else None, notes)


def _training_of(described: Mapping[str, Any]) -> cfg.ExperimentConfig | None:
  """Returns the configuration of an export's training, if it is still there."""
  model_dir = trained_model.model_dir_of(described['source']['checkpoint'])
  if not model_dir:
    return None
  params = experiment.load_saved(model_dir)
  # Another training may have taken the folder since. What an earlier version
  # did not write is not compared.
  ours = metadata.describe(params)
  if metadata.differences({**ours, **described['model']}, ours, 'here'):
    return None
  return params


def _as_described(task: configs.ImageClassificationTask,
                  described: Mapping[str, Any]
                  ) -> configs.ImageClassificationTask:
  """Returns a task that gives an export the images that it was made for."""
  prepared, model = described['preprocessing'], described['model']
  fraction = prepared['center_crop_fraction']
  validation = {
      'aug_crop': fraction is not None,
      'tf_resize_method': prepared['resize_method'],
      'resize_antialias': prepared['resize_antialias'],
      'resize_mode': prepared['resize_mode']}
  if fraction is not None:
    validation['center_crop_fraction'] = fraction
  return task.replace(
      model={'num_classes': model['num_classes'],
             'input_size': [*prepared['image_size'], 3]},
      train_data={'mean_rgb': prepared['mean'],
                  'stddev_rgb': prepared['stddev']},
      validation_data=validation)


def _loss_of(task_config: configs.ImageClassificationTask, aux_losses: list
             ) -> Callable[[np.ndarray, np.ndarray], float]:
  """Returns the loss of an evaluation: of the task, the same for every image.

  Args:
    task_config: the settings of the task.
    aux_losses: the model's own, such as weight regularisation.
  """
  task = task_factory.get_task(task_config)

  def loss(logits, labels):
    return float(exact_evaluation.weighted_loss(
        task.build_losses, task.targets(tf.constant(labels)),
        tf.constant(logits),
        tf.ones([len(labels)]), aux_losses))

  return loss
