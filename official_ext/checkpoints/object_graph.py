"""The objects in a checkpoint file, matched with those of a model.

A checkpoint names its variables by one of the paths that lead to them, and
which one differs between Model Garden's trainer, its exporter and a SavedModel.
Following the edges of the saved graph and the model together finds them in all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
import contextlib
import dataclasses
import os
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from official_ext.checkpoints import choose
from official_ext.checkpoints import integrity
from official_ext.command_line import paths

_GRAPH_KEY = '_CHECKPOINTABLE_OBJECT_GRAPH'
_VALUE = 'VARIABLE_VALUE'

# An object of a graph: of a model itself, of a file its number.
Node = TypeVar('Node')
# Returns the objects below one, by the names of the edges.
Children = Callable[[Node], Mapping[str, Node]]


def find(path: str) -> str:
  """Finds the checkpoint that a path means.

  Args:
    path: a prefix such as 'model_dir/ckpt-100'; a folder with checkpoints (of
      a training, or its best checkpoint); an export's folder, with a
      SavedModel or with a folder `checkpoint`.

  Returns:
    The prefix of the newest whole checkpoint there.

  Raises:
    ValueError: if there is none, or the prefix is of a damaged one.
  """
  paths.check_no_pattern('the checkpoint', path)
  # In Model Garden's exports a folder, in a training a file.
  below = os.path.join(path, 'checkpoint')
  newest = ((tf.io.gfile.isdir(below) and choose.newest(below)) or
            choose.newest(path))
  if newest:
    return newest
  prefixes = [path, os.path.join(path, 'variables', 'variables')]
  if tf.io.gfile.isdir(path):  # The newest version of an export.
    versions = [name.rstrip('/') for name in tf.io.gfile.listdir(path)]
    prefixes += [os.path.join(path, version, 'variables', 'variables')
                 for version in sorted(filter(str.isdigit, versions), key=int,
                                       reverse=True)]
  for prefix in prefixes:
    if integrity.files(prefix):
      choose.check(prefix)
      return prefix
  what = ('the folder holds no checkpoint' if tf.io.gfile.isdir(path)
          else 'there is no such folder or checkpoint')
  raise ValueError(
      f'{path}: {what}. Give the model_dir of a training, '
      'the folder of its best checkpoint, an export, or a prefix such as '
      'model_dir/ckpt-100.')


def descend(children: Children, node: Node,
            path: Iterable[str]) -> Node | None:
  """Follows a path in a graph of objects.

  Args:
    children: returns the objects below one, by the names of the edges.
    node: where the path begins.
    path: the names of its edges.

  Returns:
    The object at its end, or None if there is none.
  """
  for name in path:
    node = children(node).get(name)
    if node is None:
      return None
  return node


@contextlib.contextmanager
def explained_errors(path: str, key: str | None = None) -> Iterator[None]:
  """Explains what TensorFlow's reader raises.

  Args:
    path: prefix of the checkpoint that is read inside.
    key: the variable that is read; None: what every checkpoint has.

  Raises:
    ValueError: if the file cannot be read.
  """
  try:
    yield
  except integrity.READ_ERRORS as error:
    message = (f'{path} is damaged: {key} cannot be read ({error}).' if key
               else f'{path} is not a checkpoint that can be read: {error}')
    raise ValueError(message) from error


@dataclasses.dataclass
class SavedObjects:
  """The object graph of a checkpoint file.

  Attributes:
    path: prefix of the checkpoint.
    reader: reads its tensors.
    nodes: the objects.
  """
  path: str
  reader: Any
  nodes: Any

  @classmethod
  def read(cls, path: str) -> SavedObjects:
    """Reads the graph of a checkpoint.

    Args:
      path: prefix of the checkpoint.

    Returns:
      Its objects.

    Raises:
      ValueError: if it cannot be read, or was not written by
        tf.train.Checkpoint.
    """
    with explained_errors(path):
      reader = tf.train.load_checkpoint(path)
      serialized = reader.get_tensor(_GRAPH_KEY)
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        serialized)
    return cls(path, reader, graph.nodes)

  def children(self, node: int) -> dict[str, int]:
    """Returns the objects below one, by the names of the edges."""
    return {child.local_name: child.node_id
            for child in self.nodes[node].children}

  def descend(self, *names: str) -> int | None:
    """Returns the object at the end of a path from the root, or None."""
    return descend(self.children, 0, names)

  def key(self, node: int) -> str | None:
    """Returns the key of a variable's value, or None if it is none."""
    for attribute in self.nodes[node].attributes:
      if attribute.name == _VALUE:
        return attribute.checkpoint_key
    return None

  def slots(self, optimizer: int, name: str) -> dict[str, str]:
    """Returns the keys of an optimizer's slots, by those of their variables.

    Args:
      optimizer: the optimizer's object.
      name: of the slot, such as 'average'.

    Returns:
      Key of the slot's value by key of the variable's.
    """
    return {
        self.key(slot.original_variable_node_id):
            self.key(slot.slot_variable_node_id)
        for slot in self.nodes[optimizer].slot_variables
        if slot.slot_name == name}

  def keys_below(self, *nodes: int) -> set[str]:
    """Returns the keys of all variables at and below some objects."""
    seen, waiting, keys = set(), list(nodes), set()
    while waiting:
      current = waiting.pop()
      if current in seen:
        continue
      seen.add(current)
      key = self.key(current)
      if key:
        keys.add(key)
      waiting.extend(self.children(current).values())
    return keys

  def match(self, root: Any, node: int) -> Iterator[tuple[Any, str]]:
    """Matches the variables of an object with those of its saved counterpart.

    Args:
      root: an object of the model.
      node: its counterpart in the file.

    Yields:
      Each variable with its key.
    """
    view = tf.train.TrackableView(root)
    seen, waiting = set(), [(root, node)]
    while waiting:
      trackable, current = waiting.pop()
      if id(trackable) in seen:
        continue
      seen.add(id(trackable))
      key = self.key(current)
      if key:
        yield trackable, key
      saved = self.children(current)
      waiting.extend((child, saved[name])
                     for name, child in view.children(trackable).items()
                     if name in saved)

  def shape(self, key: str) -> tuple[int, ...]:
    """Returns the shape of a variable."""
    return tuple(self.reader.get_variable_to_shape_map()[key])

  def tensor(self, key: str) -> np.ndarray:
    """Reads the value of a variable.

    Args:
      key: its key.

    Returns:
      The value.

    Raises:
      ValueError: if the file is damaged.
    """
    with explained_errors(self.path, key):
      return self.reader.get_tensor(key)
