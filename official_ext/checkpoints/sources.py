"""Where the arrays of a trained model come from, under one set of names."""

from __future__ import annotations

import abc
from collections.abc import Mapping
import functools
import os
from typing import Any

import numpy as np
from official.core import train_utils

from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.checkpoints import variable_names


class Source(abc.ABC):
  """Arrays under the names of `variable_names`.

  Attributes:
    path: where they are, for messages.
    description: what `metadata.describe` says of the model, as far as it is
      known; `grid` is that of the position embedding.
  """
  path: str
  description: Mapping[str, Any]

  @property
  @abc.abstractmethod
  def shapes(self) -> Mapping[str, tuple[int, ...]]:
    """The shape of every array by name, those that have no place among them."""

  @abc.abstractmethod
  def read(self, name: str) -> np.ndarray:
    """Reads an array.

    Args:
      name: one of `shapes`.

    Returns:
      Its values.

    Raises:
      ValueError: if it cannot be read.
    """

  def origin(self, name: str) -> str:
    """Says what an array is called where it comes from, for messages."""
    return name


class CheckpointSource(Source):
  """An object-based TensorFlow checkpoint of ours or of Model Garden's ViT.

  Trainings, best checkpoints, exports and a backbone alone are all read.
  """

  def __init__(self, path: str, takes_averages: bool | None = None):
    """Finds the model in a checkpoint.

    Args:
      path: whatever `object_graph.find` takes.
      takes_averages: of a training that keeps exponential moving averages of
        the weights, whether to take these; None: what is saved as the model,
        which of a best checkpoint are the averages, else the weights.

    Raises:
      ValueError: if there is no checkpoint, it cannot be read or it holds no
        Vision Transformer.
    """
    self._saved = object_graph.SavedObjects.read(object_graph.find(path))
    self.path = self._saved.path
    self.description = metadata.read(self.path) or {}
    self._keys = self._find_keys()
    # A best checkpoint is written while the two are exchanged for evaluation.
    is_exchanged = os.path.basename(self.path).startswith(
        train_utils.BEST_CHECKPOINT_NAME)
    if takes_averages is not None and takes_averages != is_exchanged:
      others = self._others()
      self._keys = {name: others.get(key, key)
                    for name, key in self._keys.items()}

  @property
  def has_averages(self) -> bool:
    """Whether there are exponential moving averages of the weights."""
    return bool(self._others())

  @functools.cached_property
  def shapes(self) -> Mapping[str, tuple[int, ...]]:
    return {name: self._saved.shape(key) for name, key in self._keys.items()}

  def read(self, name: str) -> np.ndarray:
    return self._saved.tensor(self._keys[name])

  def origin(self, name: str) -> str:
    return self._keys[name]

  def _find_keys(self) -> dict[str, str]:
    """Returns the keys in the file by name.

    A variable that has no name of ours goes by its key, below `head/` if it is
    not the backbone's: it has no place in a model, and is not lost sight of.
    """
    saved = self._saved
    backbone = self._backbone()
    classifier = saved.descend('model')
    if classifier == backbone:
      classifier = None
    named = variable_names.of_graph(saved.children, backbone, classifier)
    keys = {name: saved.key(node) for name, node in named.items()
            if saved.key(node)}
    others = self._layer_keys(backbone)
    keys |= {key: key for key in others - set(keys.values())}
    if classifier is not None:
      others = self._layer_keys(classifier) - set(keys.values())
      keys |= {f'{variable_names.HEAD}/{key}': key for key in others}
    return keys

  def _others(self) -> dict[str, str]:
    """Returns the keys that averages are exchanged with, by the model's."""
    optimizer = self._saved.descend('optimizer')
    return {} if optimizer is None else self._saved.slots(optimizer, 'average')

  def _backbone(self) -> int:
    """Finds the backbone in all the forms that a checkpoint has."""
    saved = self._saved
    for names in (('backbone',), ('model', '_backbone'),
                  ('model', f'{variable_names.WEIGHTED_LAYER}0'), ('model',),
                  ()):
      node = saved.descend(*names)
      if node is not None and variable_names.encoder_position(
          saved.children, node) is not None:
        return node
    raise ValueError(
        f'{self.path} holds no Vision Transformer: there is no encoder in its '
        'backbone.')

  def _layer_keys(self, node: int) -> set[str]:
    """Returns the keys of a model's layers, without what is saved beside."""
    return self._saved.keys_below(*(
        child for name, child in self._saved.children(node).items()
        if name.startswith(variable_names.WEIGHTED_LAYER)))
