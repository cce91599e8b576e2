"""Layer-wise learning-rate decay, for fine-tuning.

The layers near the image keep more of what pretraining taught them (ELECTRA,
arXiv 2003.10555; BEiT, arXiv 2106.08254): of L layers, layer l learns at
layer_decay ** (L + 1 - l) of the learning rate, the embeddings count as layer
0 and what follows the layers learns at the full rate. Weight decay, being
multiplied by the learning rate, shrinks alike.

For its first steps the backbone can stay as it is, at a learning rate of 0: the
first gradients of a new head, which knows nothing, would spoil it. The moments
are those of its gradients by then. Adam corrects them for as many steps as the
training has taken: of moments that begin at 0 only then, the first updates
would be six times as large as they should be.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import re
from typing import Any

from official.modeling.optimization import legacy_adamw
from official.modeling.optimization import optimizer_factory
from official.modeling.optimization.configs import optimizer_config
import tensorflow as tf
import tf_keras

# Not decayed: biases, LayerNorm, LayerScale, position embedding, class token.
# Matched anywhere in the name: on the second replica a copy is
# '.../bias/replica_1:0'.
NOT_DECAYED = (
    '/bias', '/gamma', '/beta', '/layerscale_gamma', '/pos_embedding', '/cls')

_LAYER = re.compile(r'(?:^|/)(?:(?:projection|pool)_before_)?layer_(\d+)/')
_EMBEDDINGS = re.compile(
    r'(?:^|/)(?:conv2d(?:_\d+)?|cls|distillation|posembed_input|'
    r'norm_before_layers)/|/registers\b')
# How much of its learning rate the backbone gets at a step, among what Keras
# prepares for the step.
_BACKBONE_FACTOR = 'backbone_factor'
# What the copy of a variable on another replica has in its name, too.
_COPY = re.compile(r'(/replica_\d+)?:\d+$')


@dataclasses.dataclass
class LayerwiseAdamWConfig(optimizer_config.AdamWeightDecayConfig):
  """Model Garden's AdamW, with a learning rate per layer.

  Attributes:
    exclude_from_weight_decay: by default what our recipes leave out.
    layer_decay: from one layer to the one before it.
    num_layers: of the model; None derives it from the layout.
    frozen_backbone_steps: for so many steps the backbone stays as it is; 0
      derives them from trainer.frozen_backbone_epochs.
  """
  name: str = 'LayerwiseAdamW'
  exclude_from_weight_decay: list[str] | None = dataclasses.field(
      default_factory=lambda: list(NOT_DECAYED))
  layer_decay: float = 0.75
  num_layers: int | None = None
  frozen_backbone_steps: int = 0


@dataclasses.dataclass
class LayerwiseSGDConfig(optimizer_config.SGDConfig):
  """Model Garden's SGD, with a learning rate per layer.

  Attributes:
    layer_decay: from one layer to the one before it.
    num_layers: of the model; None derives it from the layout.
    frozen_backbone_steps: for so many steps the backbone stays as it is; 0
      derives them from trainer.frozen_backbone_epochs.
  """
  name: str = 'LayerwiseSGD'
  layer_decay: float = 0.75
  num_layers: int | None = None
  frozen_backbone_steps: int = 0


def learning_rate_factor(name: str, layer_decay: float,
                         num_layers: int) -> float:
  """Returns how much of the learning rate a variable gets.

  Args:
    name: name of the variable.
    layer_decay: from one layer to the one before it.
    num_layers: of the model.

  Returns:
    The factor, 1 for what follows the layers.

  Raises:
    ValueError: if the variable is of a layer beyond the last.
  """
  match = _LAYER.search(name)
  if match:
    layer = int(match[1])
    if layer > num_layers:
      raise ValueError(
          f'num_layers of the layer-wise optimizer is {num_layers}, but there '
          f'is the variable {name}, which would learn faster than the head. '
          'Set it to the number of layers of the model.')
  elif _EMBEDDINGS.search(name):
    layer = 0
  else:
    layer = num_layers + 1
  return layer_decay ** (num_layers + 1 - layer)


def without_replica(name: str) -> str:
  """Returns the name that a variable has in common with its copies.

  Args:
    name: such as 'dense/kernel/replica_1:0'.

  Returns:
    Such as 'dense/kernel'.
  """
  return _COPY.sub('', name)


class Layerwise:
  """Mixin over a legacy Keras optimizer."""

  def __init__(self, *args, layer_decay: float, num_layers: int | None,
               frozen_backbone_steps: int = 0, **kwargs):
    if not 0 < layer_decay <= 1:
      raise ValueError(
          f'layer_decay is {layer_decay}, but must be above 0 and at most 1.')
    if num_layers is None:
      raise ValueError(
          'num_layers of the layer-wise optimizer is not set. Set it to the '
          'number of layers of the model.')
    super().__init__(*args, **kwargs)
    self._layer_decay = layer_decay
    self._num_layers = num_layers
    self.frozen_backbone_steps = frozen_backbone_steps
    self._backbone: frozenset[str] | None = None

  def know_backbone(self, names: Iterable[str]) -> None:
    """Learns which variables the backbone has.

    Args:
      names: of the variables.
    """
    self._backbone = frozenset(map(without_replica, names))

  def _prepare_local(self, var_device, var_dtype, apply_state):
    super()._prepare_local(var_device, var_dtype, apply_state)
    if self.frozen_backbone_steps:
      # Not where it is used: there the counter belongs to another replica.
      apply_state[(var_device, var_dtype)][_BACKBONE_FACTOR] = tf.cast(
          self.iterations >= self.frozen_backbone_steps, var_dtype)

  def _resource_apply_dense(self, grad, var, apply_state=None):
    key = (var.device, var.dtype.base_dtype)
    apply_state = dict(apply_state or {})
    coefficients = dict(
        apply_state.get(key) or self._fallback_apply_state(*key))
    factor = learning_rate_factor(
        var.name, self._layer_decay, self._num_layers)
    if self.frozen_backbone_steps and self._is_of_backbone(var):
      factor *= coefficients[_BACKBONE_FACTOR]
    # Adam keeps the rate twice: as it is, and corrected for its bias.
    for rate in ('lr_t', 'lr'):
      if rate in coefficients:
        coefficients[rate] = coefficients[rate] * factor
    apply_state[key] = coefficients
    return super()._resource_apply_dense(grad, var, apply_state=apply_state)

  def _is_of_backbone(self, variable: tf.Variable) -> bool:
    if self._backbone is None:
      raise ValueError(
          f'frozen_backbone_steps is {self.frozen_backbone_steps}, but the '
          'optimizer does not know the backbone. Call know_backbone first.')
    return without_replica(variable.name) in self._backbone

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), 'layer_decay': self._layer_decay,
            'num_layers': self._num_layers,
            'frozen_backbone_steps': self.frozen_backbone_steps}


class LayerwiseAdamW(Layerwise, legacy_adamw.AdamWeightDecay):
  """AdamW with layer-wise learning-rate decay."""


class LayerwiseSGD(Layerwise, tf_keras.optimizers.legacy.SGD):
  """SGD with layer-wise learning-rate decay."""


optimizer_factory.register_optimizer_cls('adamw_layerwise', LayerwiseAdamW)
optimizer_factory.register_optimizer_cls('sgd_layerwise', LayerwiseSGD)
