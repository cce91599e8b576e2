"""Writes a trained model as a versioned SavedModel.

A version appears whole or not at all.
"""

from __future__ import annotations

import os
import tempfile

from official.core import export_base
from official.core import task_factory
import tensorflow as tf

from official_ext import registry_imports  # noqa: F401
from official_ext.checkpoints import metadata
from official_ext.configs import experiment
from official_ext.serving import serving_module


def export(model_dir: str, export_dir: str,
           checkpoint: str | None = None) -> str:
  """Exports the model of a training.

  Args:
    model_dir: folder of the training.
    export_dir: folder of the versions; made if missing.
    checkpoint: prefix of the checkpoint; None is the newest of `model_dir`.

  Returns:
    The folder of the new version.

  Raises:
    ValueError: if there is no configuration, no checkpoint, or they do not
      belong together.
  """
  # Before the model is built, since it is the first thing that can fail.
  tf.io.gfile.makedirs(export_dir)
  params = experiment.load_saved(model_dir)
  checkpoint = checkpoint or tf.train.latest_checkpoint(model_dir)
  if not checkpoint:
    raise ValueError(
        f'there is no checkpoint in {model_dir}; untrained weights are not '
        'exported.')
  metadata.check_same_architecture(checkpoint, metadata.describe(params))
  model = task_factory.get_task(params.task).build_model()
  tf.train.Checkpoint(model=model).read(
      checkpoint).assert_existing_objects_matched().expect_partial()
  module = serving_module.ServingModule(params, model)
  # So that an export, too, knows its grid when it is fine-tuned from.
  setattr(module, metadata.CHECKPOINT_ITEM,
          metadata.CheckpointMetadata(metadata.describe(params)))
  version = _next_version(export_dir)
  final = os.path.join(export_dir, str(version))
  # TensorFlow Serving loads only folders whose name is a number.
  unfinished = os.path.join(export_dir, f'.unfinished-{version}-{os.getpid()}')
  with tempfile.TemporaryDirectory() as assets_dir:
    class_names = experiment.class_names_path(params.task)
    if class_names:
      # The name that a client looks for, whatever the source is called.
      asset = os.path.join(assets_dir, experiment.CLASS_NAMES_FILE)
      tf.io.gfile.copy(class_names, asset)
      module.class_names = tf.saved_model.Asset(asset)
    export_base.export(
        module, {'image_bytes': 'serving_default'}, unfinished,
        timestamped=False)
  tf.io.gfile.rename(unfinished, final)
  return final


def _next_version(export_dir: str) -> int:
  """One more than the largest version in a folder."""
  names = tf.io.gfile.listdir(export_dir) if tf.io.gfile.isdir(
      export_dir) else []
  versions = [int(name.rstrip('/')) for name in names
              if name.rstrip('/').isdigit()]
  return max(versions, default=0) + 1
