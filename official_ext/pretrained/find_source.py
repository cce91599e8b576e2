"""Opens whatever a user names as the source of a published model."""

from __future__ import annotations

import os

from official_ext.checkpoints import choose
from official_ext.checkpoints import integrity
from official_ext.command_line import errors
from official_ext.pretrained import garden_models
from official_ext.pretrained import hub
from official_ext.pretrained import published


def open_source(source: str,
                revision: str | None = None) -> published.PublishedSource:
  """Opens a source.

  Args:
    source: a file, a folder, the prefix or folder of a TensorFlow checkpoint,
      or the name of a model on the Hugging Face hub.
    revision: of a model on the hub.

  Returns:
    The published model; its weights are not read yet.

  Raises:
    errors.UserError: if there is no such source, or it is no model that a
      Funnel-ViT can be.
  """
  if integrity.files(source) or (
      os.path.isdir(source) and choose.saved(source)):
    found = garden_models.GardenSource(source)
  elif os.path.exists(source):
    found = published.read(source)
  elif hub.is_name(source):
    return published.read(hub.fetch(source, revision))
  else:
    raise errors.UserError(
        f'{source} does not exist. Give a file, a folder, a checkpoint, or the '
        'name of a model on the Hugging Face hub such as '
        'google/vit-base-patch16-224.')
  if revision:
    raise errors.UserError(
        f'--revision={revision} is for a model on the hub, and {source} is a '
        'file here. Leave it out.')
  return found
