"""Mirrors the variables of a Keras model by their paths, without its layers.

TensorFlow saves a Keras layer with everything that Keras needs to build it
again: for each layer it traces several functions that no server calls, which
takes most of an export's time. The paths stay, so that a checkpoint's reader
finds the same weights in the export.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class _Node(tf.Module):
  """What stands in for a layer."""


def mirror(root: tf.Module) -> tf.Module:
  """Builds a tree of plain modules with the variables of a model.

  Args:
    root: the model.

  Returns:
    A module from which every variable is reached by the same path.
  """
  nodes: dict[int, Any] = {}

  def build(trackable):
    if isinstance(trackable, tf.Variable):
      return trackable
    if id(trackable) not in nodes:
      # Before its children, of which one may lead back.
      nodes[id(trackable)] = node = _Node()
      for name, child in tf.train.TrackableView(
          trackable).children(trackable).items():
        setattr(node, name, build(child))
    return nodes[id(trackable)]

  return build(root)
