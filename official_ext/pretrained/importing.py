"""Makes a checkpoint of ours, and an experiment, from a published model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import os
import shutil
import tempfile
from typing import Any

from official.core import config_definitions as cfg
from official.core import task_factory
from official.core import train_utils
import tensorflow as tf
import tf_keras

from official_ext import registry_imports  # noqa: F401
from official_ext.checkpoints import metadata
from official_ext.checkpoints import restore
from official_ext.checkpoints import variable_names
from official_ext.command_line import errors
from official_ext.command_line import paths
from official_ext.modeling import specs
from official_ext.params import experiment
from official_ext.pretrained import architecture
from official_ext.pretrained import experiment_file
from official_ext.pretrained import published
from official_ext.tasks import class_names
from official_ext.trained import trained_model

EXPERIMENT_FILE = 'fine_tune.yaml'
# The block of the metadata that says where weights are from.
METADATA_KEY = 'published'


@dataclasses.dataclass(frozen=True)
class Options:
  """What an import is asked for.

  Attributes:
    image_size: (height, width), px; None: as the model was trained.
    num_classes: of a new head; None: the model's own head is taken.
    layout: None: one block.
    resize_method: how the position embedding is resampled where the image size
      is another.
  """
  image_size: Sequence[int] | None = None
  num_classes: int | None = None
  layout: str | None = None
  resize_method: str = 'bilinear'


@dataclasses.dataclass(frozen=True)
class Imported:
  """What became of a published model.

  Attributes:
    params: an experiment with this model.
    model: the classifier.
    plan: which variables were loaded.
    left_out: what of the file was not taken, with the reasons.
  """
  params: cfg.ExperimentConfig
  model: tf_keras.Model
  plan: restore.Plan
  left_out: Mapping[str, str]


def load(source: published.PublishedSource,
         options: Options | None = None) -> Imported:
  """Builds the model of a source and loads its weights.

  Args:
    source: the published model.
    options: what is asked for.

  Returns:
    The model, in float32.

  Raises:
    ValueError: if the options do not fit the model, or the weights cannot be
      read.
  """
  options = options or Options()
  found = source.model
  num_classes = options.num_classes or found.num_classes
  if not num_classes:
    raise errors.UserError(
        f'{source.path} has no head: it does not classify. Give '
        '--num_classes=N, those of your data.')
  if options.image_size:
    specs.check_patches(
        options.image_size, found.backbone.patch_size, '--image_size')
  settings = experiment_file.settings(
      found, options.layout or found.backbone.layout,
      options.image_size or found.image_size, num_classes)
  params = _experiment(settings)
  takes_head = found.num_classes > 0 and options.num_classes is None
  with trained_model.float32():
    model = task_factory.get_task(params.task).build_model()
  modules = 'all' if takes_head else 'backbone'
  plan = restore.make_plan(model, source, modules, options.resize_method)
  # Of a layout that was asked for, the user may have given other widths.
  if plan.problems and not options.layout and isinstance(
      source, published.PublishedSource):
    names = variable_names.of_model(model)
    source.check_shapes({
        names[id(variable)]: tuple(variable.shape)
        for variable in model.variables if id(variable) in names})
  restore.apply(plan, model, source, is_new=True)
  return Imported(params, model, plan, source.left_out)


def write(source: published.PublishedSource, origin: str, output: str,
          options: Options | None = None) -> Imported:
  """Imports a published model into a folder.

  Args:
    source: the published model.
    origin: what the user calls it.
    output: the folder; it appears whole or not at all.
    options: what is asked for.

  Returns:
    What was imported. The folder holds the checkpoint `ckpt-0`, `params.yaml`,
    the experiment `fine_tune.yaml` and, if they are known, `class_names.txt`.

  Raises:
    ValueError: if the folder is in use, or as `load`.
  """
  check_output(output)
  options = options or Options()
  imported = load(source, options)
  found = source.model
  takes_head = options.num_classes is None
  data = ({class_names.KEY: list(found.class_names)}
          if takes_head and found.class_names else None)
  described = metadata.describe(imported.params, data) | {
      METADATA_KEY: _described(found, origin)}
  parent = os.path.dirname(os.path.abspath(output))
  os.makedirs(parent, exist_ok=True)
  unfinished = tempfile.mkdtemp(
      prefix=f'.{os.path.basename(os.path.normpath(output))}-', dir=parent)
  try:
    _write_files(imported, source, origin, output, unfinished, described, data)
    os.chmod(unfinished, 0o755)
    put_in_place(unfinished, output)
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)
  return imported


def check_output(output: str, holds_checkpoint: bool = True) -> None:
  """Refuses what cannot become a folder of ours.

  Args:
    output: the folder to make.
    holds_checkpoint: whether TensorFlow is to read it.

  Raises:
    ValueError: if it is not empty, no folder, a link, or cannot be written.
  """
  if not output:
    raise errors.UserError('--output is empty. Name a new folder.')
  if holds_checkpoint:
    paths.check_no_pattern('--output', output)
  if os.path.islink(output.rstrip('/')):
    raise errors.UserError(
        f'--output={output} is a link, which cannot be replaced. Name the '
        f'folder itself: {os.path.realpath(output)}.')
  if os.path.exists(output) and (
      not os.path.isdir(output) or os.listdir(output)):
    raise errors.UserError(
        f'--output={output} is not empty. Name a new folder, or delete it.')
  parent = os.path.dirname(os.path.abspath(output))
  while not os.path.exists(parent):
    parent = os.path.dirname(parent)
  if not os.path.isdir(parent) or not os.access(parent, os.W_OK | os.X_OK):
    raise errors.UserError(
        f'--output={output} cannot be made: {parent} is no folder that can be '
        'written to. Name another.')


def put_in_place(folder: str, output: str) -> None:
  """Moves a finished folder to where it belongs.

  Args:
    folder: that is finished.
    output: where to; nothing, or an empty folder.

  Raises:
    errors.UserError: if something came there meanwhile.
  """
  output = os.path.abspath(output)
  try:
    if os.path.isdir(output):
      os.rmdir(output)
    os.rename(folder, output)
  except OSError as error:
    raise errors.UserError(
        f'--output={output} cannot be put in place ({error.strerror}): is '
        'another command writing there? Name a new folder.') from error


def _write_files(imported: Imported, source: published.PublishedSource,
                 origin: str, output: str, folder: str,
                 described: Mapping[str, Any],
                 data: Mapping[str, Any] | None) -> None:
  """Writes everything that the folder holds."""
  checkpoint = tf.train.Checkpoint(
      model=imported.model, global_step=tf.Variable(0, dtype=tf.int64),
      **{metadata.CHECKPOINT_ITEM: metadata.CheckpointMetadata(described)})
  tf.train.CheckpointManager(
      checkpoint, folder, max_to_keep=1, checkpoint_name='ckpt').save(0)
  train_utils.serialize_config(imported.params, folder)
  task = imported.params.task
  settings = experiment_file.settings(
      source.model, task.model.backbone.funnel_vit.layout,
      task.model.input_size[:2], task.model.num_classes)
  path = os.path.join(output, EXPERIMENT_FILE)
  with open(os.path.join(folder, EXPERIMENT_FILE), 'w',
            encoding='utf-8') as file:
    file.write(experiment_file.text(
        settings, source.model, origin, output, path))
  if data:
    names_path = os.path.join(folder, class_names.FILE)
    class_names.write(names_path, data[class_names.KEY])
    class_names.read(names_path)


def _experiment(settings: Mapping[str, Any]) -> cfg.ExperimentConfig:
  """Reads the experiment of the settings, with every check."""
  return experiment.load(
      experiment_file.BASE, params_override=experiment_file.as_yaml(settings))


def _described(model: architecture.Architecture,
               origin: str) -> dict[str, Any]:
  """Returns what metadata say of where the weights are from."""
  return {
      'source': origin, 'kind': model.kind, 'license': model.license,
      'image_size': list(model.image_size), 'num_classes': model.num_classes,
      'preprocessing': experiment_file.preprocessing(model)}
