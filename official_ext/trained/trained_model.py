"""Restores a trained model from the checkpoint that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import dataclasses
import os
import tempfile
from typing import Any

from official.core import config_definitions as cfg
from official.core import task_factory
from official.core import train_utils
import tensorflow as tf
import tf_keras

from official_ext import registry_imports  # noqa: F401
from official_ext.checkpoints import choose
from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.checkpoints import restore
from official_ext.command_line import paths
from official_ext.modeling import specs
from official_ext.params import experiment
from official_ext.params import segmentation
from official_ext.tasks import class_names

LATEST = 'latest'
BEST = 'best'


@dataclasses.dataclass
class Selection:
  """Which of the weights of a training.

  Attributes:
    checkpoint: LATEST, BEST or the prefix of a checkpoint.
    ema: whether to take the exponential moving averages (EMA) of the weights,
      which evaluation uses where the training keeps them; None: where it does.
    image_size: height and width in px of the images to serve; None: as
      trained.
  """
  checkpoint: str = LATEST
  ema: bool | None = None
  image_size: Sequence[int] | None = None


@dataclasses.dataclass
class TrainedModel:
  """A model and where its weights are from.

  Attributes:
    params: the experiment's configuration, at the image size of the model.
    model: the classifier, in float32.
    checkpoint: prefix of the checkpoint.
    step: of the training; None if the checkpoint does not know.
    is_ema: whether the weights are the EMA of those trained.
    data: what the checkpoint says of the data that the model was trained on,
      as `protocol.Task.describe_data` returned it; empty of an earlier version.
  """
  params: cfg.ExperimentConfig
  model: tf_keras.Model
  checkpoint: str
  step: int | None
  is_ema: bool
  data: dict[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def segments(self) -> bool:
    """Whether it says of each pixel what it is, and not of an image."""
    return segmentation.is_of(self.params)

  @property
  def class_names(self) -> list[str] | None:
    """A name for each class, for reading; None if they have none."""
    names = self.data.get(class_names.KEY)
    # An earlier version left them where the training data were.
    return (class_names.readable(names) if names
            else class_names.of_task(self.params.task))


def find(model_dir: str | None, selection: Selection | None = None,
         config_file: str | None = None,
         may_segment: bool = False) -> TrainedModel:
  """Restores the model of a training by its folder, or its configuration.

  Args:
    model_dir: folder of the training, or None.
    selection: which weights; None: the newest.
    config_file: a params.yaml where there is no `model_dir`.
    may_segment: whether a model that segments is meant too.

  Returns:
    The model.

  Raises:
    ValueError: if either is missing, or they do not belong together.
  """
  params = (experiment.load_saved_file(config_file) if config_file
            else experiment.load_saved(model_dir))
  return load(params, model_dir, selection, may_segment)


def model_dir_of(checkpoint: str) -> str | None:
  """Finds the folder of the training that wrote a checkpoint.

  Args:
    checkpoint: prefix of the checkpoint.

  Returns:
    Its folder, or the one above, since the best checkpoint has its own; None
    if neither holds a configuration.
  """
  folder = os.path.dirname(checkpoint)
  for candidate in (folder, os.path.dirname(folder)):
    if tf.io.gfile.exists(os.path.join(candidate, experiment.SAVED_FILE)):
      return candidate
  return None


def load(params: cfg.ExperimentConfig, model_dir: str | None,
         selection: Selection | None = None,
         may_segment: bool = False) -> TrainedModel:
  """Restores a trained model.

  Args:
    params: the experiment's configuration.
    model_dir: folder of the training; None if the selection names a prefix.
    selection: which weights.
    may_segment: whether a model that segments is meant too.

  Returns:
    The model.

  Raises:
    ValueError: if it segments, and is not meant; if there is no such
      checkpoint, or it does not belong to the
      configuration: untrained weights are never taken.
  """
  selection = selection or Selection()
  if segmentation.is_of(params):
    _check_segments(model_dir or selection.checkpoint, selection, may_segment)
  if model_dir:
    paths.check_no_pattern('--model_dir', model_dir)
  checkpoint = _find(params, model_dir, selection.checkpoint)
  metadata.check_same_architecture(checkpoint, metadata.describe(params))
  metadata.check_same_preprocessing(checkpoint, params)
  keeps_ema = params.trainer.optimizer_config.ema is not None
  is_ema = keeps_ema if selection.ema is None else selection.ema
  if is_ema and not keeps_ema:
    raise ValueError(
        'this training kept no moving averages of the weights '
        '(trainer.optimizer_config.ema is not set). Leave --ema out.')
  with float32():
    model = task_factory.get_task(params.task).build_model()
    # Under the model's own keys.
    tf.train.Checkpoint(model=model).read(
        checkpoint).assert_existing_objects_matched().expect_partial()
    # Evaluation swaps weights and EMA, and the best checkpoint is written
    # before they are swapped back.
    is_swapped = os.path.basename(checkpoint).startswith(
        train_utils.BEST_CHECKPOINT_NAME)
    if keeps_ema and is_ema != is_swapped:
      _swap_ema(model, checkpoint)
    if selection.image_size and (
        list(selection.image_size) != list(params.task.model.input_size[:2])):
      params, model = _resize(params, model, selection.image_size)
  return TrainedModel(
      params, model, checkpoint, metadata.read_step(checkpoint), is_ema,
      metadata.read_data(checkpoint))


def _check_segments(path: str, selection: Selection, is_meant: bool) -> None:
  """Refuses a model that segments where a classifier is meant."""
  if not is_meant:
    raise ValueError(
        f'{path} segments images, and this is of models that classify them. '
        'python -m official_ext.serving.export exports it, '
        'official_ext.analysis.segmentation draws what it predicts, and '
        'train.py --mode=eval evaluates it.')
  if selection.image_size:
    raise ValueError(
        '--image_size: a model that segments takes images of any size, and '
        'resizes them to that of its training. Leave --image_size out.')


@contextlib.contextmanager
def float32():
  """Builds layers in float32, whatever the training in this process uses."""
  policy = tf_keras.mixed_precision.global_policy()
  tf_keras.mixed_precision.set_global_policy('float32')
  try:
    yield
  finally:
    tf_keras.mixed_precision.set_global_policy(policy)


def _find(params: cfg.ExperimentConfig, model_dir: str | None,
          checkpoint: str) -> str:
  """Returns the prefix of the checkpoint that is asked for."""
  if checkpoint not in (LATEST, BEST):
    return object_graph.find(checkpoint)
  folder = model_dir
  if checkpoint == BEST:
    subdir = params.trainer.best_checkpoint_export_subdir
    if not subdir:
      raise ValueError(
          '--checkpoint=best: this training kept no best checkpoint; it does '
          'with trainer.best_checkpoint_export_subdir and '
          'best_checkpoint_eval_metric. Use --checkpoint=latest.')
    folder = os.path.join(model_dir, subdir)
  newest = choose.newest(folder)
  if not newest:
    raise ValueError(
        f'--checkpoint={checkpoint}: there is no checkpoint in {folder} yet; '
        'untrained weights are not taken for trained ones.')
  return newest


def _swap_ema(model: tf_keras.Model, checkpoint: str) -> None:
  """Assigns the weights that the optimizer keeps beside the model's."""
  saved = object_graph.SavedObjects.read(checkpoint)
  others = saved.slots(saved.descend('optimizer'), 'average')
  keys = {id(variable): key
          for variable, key in saved.match(model, saved.descend('model'))}
  for variable in model.trainable_variables:
    other = others.get(keys[id(variable)])
    if other is None:
      raise ValueError(
          f'{checkpoint} has no moving average of {variable.name}. Give '
          '--ema=false to take the weights as they are.')
    variable.assign(saved.tensor(other))


def _resize(params: cfg.ExperimentConfig, model: tf_keras.Model,
            image_size: Sequence[int]
            ) -> tuple[cfg.ExperimentConfig, tf_keras.Model]:
  """Returns the model for images of another size (paper, section 3.2)."""
  if params.task.model.backbone.type != 'funnel_vit':
    raise ValueError(
        f'--image_size: the backbone is {params.task.model.backbone.type}, and '
        'only the position embedding of funnel_vit is resampled. Leave '
        '--image_size out.')
  if not params.task.model.backbone.funnel_vit.crop_to_patches:
    specs.check_patches(
        image_size, model.backbone.spec.patch_size, '--image_size')
  task = params.task.replace(
      model={'input_size': [*image_size, 3]})
  resized = task_factory.get_task(task).build_model()
  with tempfile.TemporaryDirectory() as folder:
    prefix = tf.train.Checkpoint(model=model).write(
        os.path.join(folder, 'weights'))
    restore.load(
        resized, prefix, method=params.task.init_checkpoint_resize_method,
        source_grid=model.backbone.spec.grid)
  return params.replace(task=task), resized
