"""Describes an export in JSON: its model, preprocessing and origin.

The same JSON is an asset of a SavedModel and the metadata inside a LiteRT or
an ONNX file, so that a client needs nothing else to prepare an image.
"""

from __future__ import annotations

import json
import os
from typing import Any

import tensorflow as tf

from official_ext.checkpoints import integrity
from official_ext.checkpoints import metadata
from official_ext.checkpoints import preprocessing
from official_ext.serving.formats import names
from official_ext.serving.formats import versions
from official_ext.tasks import exif_orientation
from official_ext.trained import trained_model


def describe(trained: trained_model.TrainedModel) -> dict[str, Any]:
  """Describes an export.

  Args:
    trained: the model.

  Returns:
    Values that JSON can hold: `model` as in a checkpoint's metadata,
    `preprocessing` in the order in which it is done, `source`, and the names
    of the `classes`, or None.
  """
  task = trained.params.task
  return {
      'model': metadata.describe(trained.params, trained.data),
      'preprocessing': {
          'color_space': 'RGB',
          'transparency': 'over white',
          exif_orientation.KEY: exif_orientation.of_model(trained.data),
          'image_size': list(task.model.input_size[:2]),
          **preprocessing.describe(task),
      },
      'source': {
          'checkpoint': os.path.abspath(trained.checkpoint)
                        if '://' not in trained.checkpoint
                        else trained.checkpoint,
          # Another training may reach the same step under the same name.
          'fingerprint': integrity.fingerprint(trained.checkpoint),
          'step': trained.step,
          'ema': trained.is_ema,
      },
      'classes': trained.class_names,
  }


def as_json(described: dict[str, Any]) -> str:
  """Returns the description as text, one value per line."""
  return json.dumps(described, indent=2) + '\n'


def parse(text: str) -> dict[str, Any]:
  """Reads a description from its text.

  Args:
    text: what `as_json` returned, of this version or one before.

  Returns:
    The description, by the names of this version.
  """
  described = json.loads(text)
  source = described['source']
  # Its name in exports written before it was called EMA.
  if 'averaged' in source:
    source['ema'] = source.pop('averaged')
  # An export of a version before turned nothing, and dropped alpha.
  described['preprocessing'] = {
      'transparency': 'dropped', exif_orientation.KEY: exif_orientation.IGNORE,
      **preprocessing.of_version_before(described['preprocessing'])}
  return described


def read(saved_model_dir: str) -> dict[str, Any]:
  """Reads the description of a SavedModel.

  Args:
    saved_model_dir: its folder.

  Returns:
    What `describe` returned.

  Raises:
    ValueError: if it has none: it is not an export of this project.
  """
  path = os.path.join(saved_model_dir, 'assets', names.DESCRIPTION_FILE)
  if not tf.io.gfile.exists(path):
    raise ValueError(
        f'{saved_model_dir} has no assets/{names.DESCRIPTION_FILE}. Export it '
        'with official_ext.serving.export.')
  with tf.io.gfile.GFile(path) as file:
    return parse(file.read())


def read_newest(base: str) -> dict[str, Any] | None:
  """Reads the description of the newest version in a folder, or None."""
  newest = versions.numbers(base)
  return read(os.path.join(base, str(newest[0]))) if newest else None
