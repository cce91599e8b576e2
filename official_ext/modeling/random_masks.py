"""Dropout and stochastic depth whose masks follow from the step.

Keras draws masks by operations that keep a state, which a run that is resumed
begins anew. Within `of_step` the layers of this module draw as a function of
the seed of the run, the step, the replica, the microbatch and their place in
the model; elsewhere they are those of Keras and Model Garden. The distributions
are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import contextvars
import itertools

from official.vision.modeling.layers import nn_layers
import tensorflow as tf
import tf_keras


class _Step:
  """Hands out a seed to each mask of a train step, in the order of calls."""

  def __init__(self, seed: tf.Tensor):
    self._seed = seed
    self._places = itertools.count()

  def next_seed(self) -> tf.Tensor:
    return self._seed + [next(self._places), 0]

  def fold_in(self, number: tf.Tensor) -> _Step:
    return _Step(_fold_in(self._seed, number))


_step: contextvars.ContextVar[_Step | None] = contextvars.ContextVar(
    'step', default=None)


@contextlib.contextmanager
def of_step(seed: int | None, step: tf.Tensor) -> Iterator[None]:
  """Lets masks follow from a step, in the replica that calls.

  Args:
    seed: of the run; None: masks are drawn as Keras does.
    step: the number of the step, int [].

  Yields:
    While the train step is traced.
  """
  if seed is None:
    yield
    return
  replica = tf.distribute.get_replica_context().replica_id_in_sync_group
  mixed = _fold_in([seed % 2**31, tf.cast(step, tf.int32)], replica)
  token = _step.set(_Step(mixed))
  try:
    yield
  finally:
    _step.reset(token)


@contextlib.contextmanager
def of_microbatch(index: tf.Tensor) -> Iterator[None]:
  """Lets the masks within a step follow from a microbatch, too.

  Args:
    index: the number of the microbatch, int [].

  Yields:
    While the microbatch is traced.
  """
  step = _step.get()
  token = _step.set(step and step.fold_in(index))
  try:
    yield
  finally:
    _step.reset(token)


def _fold_in(seed: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
  """Returns a seed, int32 [2], of random bits: small sums never meet."""
  return tf.random.stateless_uniform(
      [2], tf.random.experimental.stateless_fold_in(seed, number),
      minval=None, maxval=None, dtype=tf.int32)


class Dropout(tf_keras.layers.Dropout):
  """Keras's dropout (arXiv 1207.0580), which knows the step."""

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    step = _step.get()
    if not (training and self.rate and step):
      return super().call(inputs, training)
    return tf.nn.experimental.stateless_dropout(
        inputs, self.rate, step.next_seed())


class StochasticDepth(nn_layers.StochasticDepth):
  """Model Garden's stochastic depth (arXiv 1603.09382), which knows the step.

  It leaves out the branch of whole images.
  """

  def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    step = _step.get()
    if not (training and self._drop_rate and step):
      return super().call(inputs, training)
    # [B, 1, ...]
    each_image = tf.concat(
        [tf.shape(inputs)[:1], tf.ones([inputs.shape.rank - 1], tf.int32)], 0)
    return tf.nn.experimental.stateless_dropout(
        inputs, self._drop_rate, step.next_seed(), noise_shape=each_image)
