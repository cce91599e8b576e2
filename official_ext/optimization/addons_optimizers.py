"""The optimizers of tensorflow-addons, as Model Garden's factory calls them.

Only where tensorflow-addons is installed: see `addons`, which has their
settings. tensorflow-addons decays by a rate of its own, leaves nothing out in
most optimizers, and forgets a learning-rate schedule in the decay; here all do
as Model Garden's AdamW.
"""

from __future__ import annotations

from collections.abc import Sequence
import re
from typing import Any

from official.modeling.optimization import optimizer_factory
import tensorflow as tf
import tensorflow_addons as tfa
import tf_keras

# What only the outermost optimizer does.
_GRADIENT_SETTINGS = (
    'clipnorm', 'clipvalue', 'global_clipnorm', 'gradient_aggregator',
    'gradient_transformers')


class _WeightDecay:
  """Mixin over a legacy Keras optimizer: weight decay as AdamW's."""

  def __init__(self, *args, weight_decay_rate: float = 0.0,
               exclude_from_weight_decay: Sequence[str] | None = None,
               **kwargs):
    """Initialises the optimizer.

    Args:
      *args: of the optimizer.
      weight_decay_rate: fraction taken of a variable, times the learning rate.
      exclude_from_weight_decay: patterns of variables that are not decayed.
      **kwargs: of the optimizer.

    Raises:
      ValueError: if the rate is negative.
    """
    if weight_decay_rate < 0:
      raise ValueError(
          f'weight_decay_rate is {weight_decay_rate}, but must not be '
          'negative.')
    super().__init__(*args, **kwargs)
    self.weight_decay_rate = weight_decay_rate
    self._exclude_from_weight_decay = tuple(exclude_from_weight_decay or ())

  def _do_use_weight_decay(self, name: str) -> bool:
    """Returns whether a variable of this name is decayed."""
    return self.weight_decay_rate > 0 and not any(
        re.search(pattern, name)
        for pattern in self._exclude_from_weight_decay)

  # AutoGraph would rewrite tensorflow-addons' code, which has no need of it,
  # once for each variable: a minute of every start.
  @tf.autograph.experimental.do_not_convert
  def _resource_apply_dense(self, grad, var, apply_state=None):
    if not self._do_use_weight_decay(var.name):
      return super()._resource_apply_dense(grad, var, apply_state=apply_state)
    key = (var.device, var.dtype.base_dtype)
    # Lookahead hands no state on.
    coefficients = (apply_state or {}).get(key) or self._fallback_apply_state(
        *key)
    decay = var.assign_sub(
        coefficients['lr_t'] * self.weight_decay_rate * var,
        use_locking=self._use_locking)
    with tf.control_dependencies([decay]):
      return super()._resource_apply_dense(grad, var, apply_state=apply_state)

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(),
            'weight_decay_rate': self.weight_decay_rate,
            'exclude_from_weight_decay': list(self._exclude_from_weight_decay)}


class RectifiedAdam(_WeightDecay, tfa.optimizers.RectifiedAdam):
  """RAdam with weight decay as AdamW's."""


class NovoGrad(_WeightDecay, tfa.optimizers.NovoGrad):
  """NovoGrad with weight decay as AdamW's, outside of the moments."""

  def __init__(self, *args, grad_averaging: bool = False, **kwargs):
    """Initialises the optimizer.

    Args:
      *args: of tensorflow-addons' NovoGrad.
      grad_averaging: whether the first moment is an average, not a sum.
      **kwargs: of tensorflow-addons' NovoGrad.
    """
    super().__init__(*args, **kwargs)
    # A function, for which Keras makes no variable: it would make one of
    # float32, which a checkpoint with a boolean cannot fill.
    self._set_hyper('grad_averaging', lambda: grad_averaging)


class _Yogi(tfa.optimizers.Yogi):
  """Yogi that is called as the others are."""

  def __init__(self, *args, beta_1: float = 0.9, beta_2: float = 0.999,
               **kwargs):
    super().__init__(*args, beta1=beta_1, beta2=beta_2, **kwargs)

  def _resource_apply_dense(self, grad, var, apply_state=None):
    del apply_state  # It computes what it needs.
    return super()._resource_apply_dense(grad, var)


class Yogi(_WeightDecay, _Yogi):
  """Yogi with weight decay as AdamW's."""


class SGDW(_WeightDecay, tf_keras.optimizers.legacy.SGD):
  """SGD with weight decay as AdamW's (arXiv 1711.05101).

  Not tensorflow-addons' SGDW, which decays by the rate alone, at the end of a
  schedule as much as at its peak.
  """


def radam_lookahead(sync_period: int = 6, slow_step_size: float = 0.5,
                    name: str = 'Lookahead', **settings
                    ) -> tfa.optimizers.Lookahead:
  """Builds Lookahead over RAdam.

  Args:
    sync_period: steps that RAdam makes before they are looked back on.
    slow_step_size: fraction of the way that is then kept.
    name: of the outer optimizer.
    **settings: of RAdam, and how gradients are clipped.

  Returns:
    The optimizer.
  """
  outer = {key: settings.pop(key) for key in _GRADIENT_SETTINGS
           if key in settings}
  return tfa.optimizers.Lookahead(
      RectifiedAdam(**settings), sync_period, slow_step_size, name, **outer)


optimizer_factory.register_optimizer_cls('radam', RectifiedAdam)
optimizer_factory.register_optimizer_cls('radam_lookahead', radam_lookahead)
optimizer_factory.register_optimizer_cls('novograd', NovoGrad)
optimizer_factory.register_optimizer_cls('yogi', Yogi)
optimizer_factory.register_optimizer_cls('sgdw', SGDW)
