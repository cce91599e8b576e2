"""A published model as a source of weights, whatever it was saved by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import functools
import os

import numpy as np

from official_ext.checkpoints import sources
from official_ext.checkpoints import variable_names
from official_ext.command_line import errors
from official_ext.pretrained import architecture
from official_ext.pretrained import arrays
from official_ext.pretrained import hugging_face
from official_ext.pretrained import hugging_face_images
from official_ext.pretrained import jax_names
from official_ext.pretrained import key_map
from official_ext.pretrained import model_card
from official_ext.pretrained import npz_files
from official_ext.pretrained import timm_models
from official_ext.pretrained import weight_files

CONFIG_FILE = 'config.json'
_MAX_LISTED = 6


class PublishedSource(sources.Source):
  """The weights of a published model under our names.

  Attributes:
    model: what the model is.
    left_out: the arrays of the file that are not taken, with the reasons.
  """

  def __init__(self, found: arrays.Arrays, model: architecture.Architecture,
               entries: Sequence[key_map.Entry], left_out: Mapping[str, str]):
    """Accounts for every array.

    Args:
      found: the arrays of the file.
      model: what the model is.
      entries: where every variable is.
      left_out: why arrays are not taken, by name.

    Raises:
      errors.UserError: if an array is missing, or has no place.
    """
    self.path = found.path
    self.description = {
        'grid': list(model.grid),
        'position_embedding': model.backbone.position_embedding}
    self.model = model
    self.left_out = dict(left_out)
    self._found = found
    self._entries = {entry.ours: entry for entry in entries}
    wanted = {place.name for entry in entries for place in entry.places}
    self.left_out = {name: reason for name, reason in left_out.items()
                     if name not in wanted}
    missing = sorted(wanted - set(found.stored))
    extra = sorted(set(found.stored) - wanted - set(self.left_out))
    problems = [f'{what} {_listed(names)}' for what, names in (
        ('it lacks', missing), ('nothing is known of', extra)) if names]
    if problems:
      raise errors.UserError(
          f'{found.path} is not what its config says, a {model.kind} of '
          f'{model.num_layers} layers: {"; ".join(problems)}. Get config and '
          'weights of one model.')

  @functools.cached_property
  def shapes(self) -> Mapping[str, tuple[int, ...]]:
    return {name: entry.shape(self._found)
            for name, entry in self._entries.items()}

  def check_shapes(self, wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses arrays that are not as large as the variables of the model.

    Args:
      wanted: the shapes of variables, by name; the position embedding, which is
        resampled, and what the file lacks are passed over.

    Raises:
      errors.UserError: naming the first array as the file does.
    """
    for name, shape in wanted.items():
      if name == variable_names.POSITION_EMBEDDING or (
          self.shapes.get(name, shape) == shape):
        continue
      stored = ' and '.join(
          str(self._found.stored[place.name].shape)
          for place in self._entries[name].places)
      raise errors.UserError(
          f'{self.path}: {self.origin(name)} is {stored}, which becomes '
          f'{self.shapes[name]}, but a {self.model.kind} of its sizes has '
          f'{shape} there. Get config and weights of one model.')

  def read(self, name: str) -> np.ndarray:
    return self._entries[name].read(self._found)

  def origin(self, name: str) -> str:
    return self._entries[name].origin


def read(path: str) -> PublishedSource:
  """Reads what a file of weights and the config beside it are.

  Args:
    path: of the file, or a folder that holds it.

  Returns:
    The source; no weights are read yet.

  Raises:
    errors.UserError: if it is no model that a Funnel-ViT can be.
  """
  path = weight_files.find(path)
  found = weight_files.read(path)
  if isinstance(found, npz_files.NpzFile):
    return PublishedSource(found, *jax_names.read(found))
  folder = os.path.dirname(path)
  config_path = os.path.join(folder, CONFIG_FILE)
  if not os.path.isfile(config_path):
    raise errors.UserError(
        f'{config_path} is missing, and without it nobody knows the heads, the '
        'GELU and the epsilon of these weights. Get it from where they are '
        'from.')
  config = arrays.read_json(config_path)
  license_name = model_card.read_license(folder)
  if isinstance(config.get('architecture'), str):
    return PublishedSource(found, *timm_models.read(
        found, config_path, config, license_name))
  if 'model_type' in config:
    return PublishedSource(found, *hugging_face.read(
        found, config_path, config,
        os.path.join(folder, hugging_face_images.FILE), license_name))
  raise errors.UserError(
      f"{config_path} has neither Hugging Face's model_type nor timm's "
      'architecture, so it is not known what these weights are of. Get it from '
      'where they are from.')


def _listed(names: Sequence[str]) -> str:
  """Lists the first of some names."""
  listed = ', '.join(names[:_MAX_LISTED])
  if len(names) > _MAX_LISTED:
    listed += f' and {len(names) - _MAX_LISTED} more'
  return listed
