"""Writes a trained model as a versioned SavedModel."""

from __future__ import annotations

import os
import tempfile

from official.core import export_base
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.serving.formats import description
from official_ext.serving.formats import names
from official_ext.serving.formats import signatures
from official_ext.serving.formats import versions
from official_ext.serving.formats import warmup
from official_ext.trained import class_names
from official_ext.trained import trained_model


def write(trained: trained_model.TrainedModel, export_dir: str,
          version: int | None = None, top_k: int = 5) -> str:
  """Exports a model as a SavedModel.

  Args:
    trained: the model.
    export_dir: folder of the versions; made if missing.
    version: number of the version; None: one more than the largest.
    top_k: how many of the most probable classes an answer names.

  Returns:
    The folder of the new version.

  Raises:
    ValueError: if the version is there, or the classes are named wrongly.
  """
  params = trained.params
  classes = class_names.of_task(params.task)
  module = signatures.ServingModule(
      params, trained.model,
      classes or class_names.numbered(params.task.model.num_classes),
      top_k)
  described = description.describe(trained)
  # So that an export, too, knows its grid when it is fine-tuned from.
  setattr(module, metadata.CHECKPOINT_ITEM,
          metadata.CheckpointMetadata(described['model']))
  with versions.unfinished(export_dir) as path:
    with tempfile.TemporaryDirectory() as assets_dir, trained_model.float32():
      module.description = _asset(
          assets_dir, names.DESCRIPTION_FILE,
          description.as_json(described))
      if classes:
        module.class_names = _asset(
            assets_dir, names.CLASS_NAMES_FILE, '\n'.join(classes) + '\n')
      export_base.export(
          module, names.SIGNATURES, path, timestamped=False)
    warmup.write(path, params.task.train_data.image_field_key,
                 side=max(params.task.model.input_size[:2]))
    return versions.publish(path, export_dir, version)


def _asset(folder: str, name: str, text: str) -> tf.saved_model.Asset:
  """Writes a file that is copied into the SavedModel."""
  path = os.path.join(folder, name)
  with tf.io.gfile.GFile(path, 'w') as file:
    file.write(text)
  return tf.saved_model.Asset(path)
