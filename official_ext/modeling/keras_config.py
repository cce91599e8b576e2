"""What Keras has to know of a model that it saves, copies and builds again.

A functional model that is made by a class of its own is described by what the
class was given. What Keras would keep of each of its layers is kept here: the
types that they compute in, and which of them train.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib

import tf_keras


def register(layer_class: type[tf_keras.layers.Layer]
             ) -> type[tf_keras.layers.Layer]:
  """Lets Keras find a class of layers or models by its name when it loads one.

  Args:
    layer_class: with `get_config` and `from_config`.

  Returns:
    The class.
  """
  # An HDF5 file has the name alone; a .keras file has the package before it.
  tf_keras.utils.get_custom_objects()[layer_class.__name__] = layer_class
  return tf_keras.utils.register_keras_serializable('funnel_vit')(layer_class)


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
  """Builds layers under a policy of types, whatever is set in this process.

  Args:
    name: of the policy, such as 'float32' or 'mixed_bfloat16'.

  Yields:
    While layers are built.
  """
  before = tf_keras.mixed_precision.global_policy()
  tf_keras.mixed_precision.set_global_policy(name)
  try:
    yield
  finally:
    tf_keras.mixed_precision.set_global_policy(before)


def trains(model: tf_keras.Model) -> list[bool]:
  """Says which layers of a model train, those inside of layers included.

  Args:
    model: the model.

  Returns:
    A flag for the model and then for each layer, in an order that a model of
    the same configuration shares.
  """
  return [layer.trainable for layer in _layers(model)]


def set_trains(model: tf_keras.Model, flags: Sequence[bool]) -> None:
  """Lets the layers of a model train, or not, as those of another.

  Args:
    model: of the same configuration as the other.
    flags: what `trains` returned for the other.
  """
  # A layer hands its flag on to those inside, which come later.
  for layer, flag in zip(_layers(model), flags, strict=True):
    layer.trainable = flag


def _layers(model: tf_keras.Model) -> list[tf_keras.layers.Layer]:
  return [model, *(part for part in model.submodules
                   if isinstance(part, tf_keras.layers.Layer))]
