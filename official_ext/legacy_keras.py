"""One Keras on TensorFlow 2.15.

There, Model Garden takes `tf.keras` and this project `tf_keras`: copies of the
same code, whose layers and optimizers do not know each other. With
TF_USE_LEGACY_KERAS=1, `tf.keras` is `tf_keras`. TensorFlow looks at it when it
is imported and when `tf.keras` is first used. From 2.16 on Model Garden takes
`tf_keras` itself, and `tf.keras` is left as it is.
"""

import importlib.metadata
import os

_VARIABLE = 'TF_USE_LEGACY_KERAS'


def is_needed() -> bool:
  """Returns whether this is TensorFlow 2.15, by the Keras it comes with."""
  try:
    version = importlib.metadata.version('tf-keras')
  except importlib.metadata.PackageNotFoundError:
    # An export needs TensorFlow alone.
    return False
  return version.startswith('2.15.')


def prefer() -> None:
  """Makes `tf.keras` the same as `tf_keras`; call it before TensorFlow."""
  if is_needed():
    os.environ.setdefault(_VARIABLE, '1')


def check() -> None:
  """Refuses to continue with two of them.

  Raises:
    ImportError: if `tf.keras` is not `tf_keras` where it must be.
  """
  if not is_needed():
    return
  # Not above: this module comes before TensorFlow.
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf
  import tf_keras
  # pylint: enable=g-import-not-at-top
  if tf.keras.layers.Layer is not tf_keras.layers.Layer:
    raise ImportError(
        'tf.keras is not tf_keras, which Funnel-ViT needs on TensorFlow 2.15. '
        f'Import official_ext before TensorFlow, or set {_VARIABLE}=1 before '
        'the program starts.')
