"""The GELUs of published Vision Transformers, each with its derivative.

GELU is x times the cumulative normal distribution of x (arXiv 1606.08415).
Model Garden's and JAX's ViT take the approximation by tanh, PyTorch's models
mostly the exact one by erf, CLIP the quick one, x sigmoid(1.702 x).

Legend: R rows, M width of the MLP's inner layer.
"""

from __future__ import annotations

from collections.abc import Callable
import math

import tensorflow as tf

# Takes [R, M]; returns the activation and its derivative, [R, M] each. Both
# share what they have in common.
Activation = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

# (1 + tanh(a)) / 2 = sigmoid(2 a), so the approximation by tanh is
# x sigmoid(x (_LINEAR + _CUBIC x x)).
_LINEAR = 2 * math.sqrt(2 / math.pi)
_CUBIC = 0.044715 * _LINEAR
_QUICK = 1.702


def tanh(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the approximation by tanh and its derivative, [R, M] each."""
  slope = tf.square(rows) * _CUBIC + _LINEAR
  gate = tf.sigmoid(rows * slope)
  # d/dx x s(u(x)) = s + s (1 - s) x u'(x), with u' = 3 slope - 2 _LINEAR.
  inner = rows * (3 * slope - 2 * _LINEAR)
  return rows * gate, gate + gate * (1 - gate) * inner


def erf(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the exact GELU and its derivative, [R, M] each."""
  cumulative = 0.5 * (1 + tf.math.erf(rows / math.sqrt(2)))
  density = tf.exp(-0.5 * tf.square(rows)) / math.sqrt(2 * math.pi)
  return rows * cumulative, cumulative + rows * density


def quick(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns CLIP's approximation and its derivative, [R, M] each."""
  gate = tf.sigmoid(_QUICK * rows)
  return rows * gate, gate + _QUICK * rows * gate * (1 - gate)


# By the value that the setting `activation` takes.
BY_NAME: dict[str, Activation] = {
    'gelu_tanh': tanh,
    'gelu_erf': erf,
    'gelu_quick': quick,
}
