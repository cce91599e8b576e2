"""Writes a trained model as a versioned SavedModel, or as a single file."""

from __future__ import annotations

import os
import tempfile

from official.core import export_base
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.serving import description
from official_ext.serving import serving_module
from official_ext.serving import versions
from official_ext.serving import warmup
from official_ext.trained import class_names
from official_ext.trained import trained_model


def export(model_dir: str | None, export_dir: str,
           selection: trained_model.Selection | None = None,
           version: int | None = None, top_k: int = 5,
           config_file: str | None = None) -> str:
  """Exports the model of a training as a SavedModel.

  Args:
    model_dir: folder of the training, or None.
    export_dir: folder of the versions; made if missing.
    selection: which of its weights; None: the newest.
    version: number of the version; None: one more than the largest.
    top_k: how many of the likeliest classes an answer names.
    config_file: a params.yaml where there is no `model_dir`.

  Returns:
    The folder of the new version.

  Raises:
    ValueError: if there is no configuration, no checkpoint, they do not belong
      together, or the version is there.
  """
  # Before the model is built, since it is the first thing that can fail.
  versions.check_free(export_dir, version)
  tf.io.gfile.makedirs(export_dir)
  trained = trained_model.find(model_dir, selection, config_file)
  return write_saved_model(trained, export_dir, version, top_k)


def write_saved_model(trained: trained_model.TrainedModel, export_dir: str,
                      version: int | None = None, top_k: int = 5) -> str:
  """Exports a model as a SavedModel.

  Args:
    trained: the model.
    export_dir: folder of the versions; made if missing.
    version: number of the version; None: one more than the largest.
    top_k: how many of the likeliest classes an answer names.

  Returns:
    The folder of the new version.

  Raises:
    ValueError: if the version is there, or the classes are named wrongly.
  """
  params = trained.params
  names = class_names.of_task(params.task)
  module = serving_module.ServingModule(
      params, trained.model,
      names or class_names.numbered(params.task.model.num_classes),
      top_k)
  described = description.describe(trained)
  # So that an export, too, knows its grid when it is fine-tuned from.
  setattr(module, metadata.CHECKPOINT_ITEM,
          metadata.CheckpointMetadata(described['model']))
  with versions.unfinished(export_dir) as path:
    with tempfile.TemporaryDirectory() as assets_dir, trained_model.float32():
      module.description = _asset(
          assets_dir, description.FILE, description.as_json(described))
      if names:
        module.class_names = _asset(
            assets_dir, class_names.FILE, '\n'.join(names) + '\n')
      export_base.export(
          module, serving_module.SIGNATURES, path, timestamped=False)
    warmup.write(path, params.task.train_data.image_field_key,
                 side=max(params.task.model.input_size[:2]))
    return versions.publish(path, export_dir, version)


def _asset(folder: str, name: str, text: str) -> tf.saved_model.Asset:
  """A file that is copied into the SavedModel."""
  path = os.path.join(folder, name)
  with tf.io.gfile.GFile(path, 'w') as file:
    file.write(text)
  return tf.saved_model.Asset(path)
