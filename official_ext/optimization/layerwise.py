"""Layer-wise learning-rate decay, for fine-tuning.

The layers near the image keep more of what pretraining taught them (ELECTRA,
arXiv 2003.10555; BEiT, arXiv 2106.08254): of L layers, layer l learns at
layer_decay ** (L + 1 - l) of the learning rate, the embeddings count as layer
0 and what follows the layers learns at the full rate. Weight decay, being
multiplied by the learning rate, shrinks alike.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from official.modeling.optimization import legacy_adamw
from official.modeling.optimization import optimizer_factory
from official.modeling.optimization.configs import optimizer_config
import tf_keras

# Not decayed: biases, LayerNorm, LayerScale, position embedding, class token.
# Matched anywhere in the name: on the second replica a copy is
# '.../bias/replica_1:0'.
NOT_DECAYED = (
    '/bias', '/gamma', '/beta', '/layerscale_gamma', '/pos_embedding', '/cls')

_LAYER = re.compile(r'(?:^|/)(?:projection_before_)?layer_(\d+)/')
_EMBEDDINGS = re.compile(
    r'(?:^|/)(?:conv2d(?:_\d+)?|cls|distillation|posembed_input|'
    r'norm_before_layers)/|/registers\b')


@dataclasses.dataclass
class LayerwiseAdamWConfig(optimizer_config.AdamWeightDecayConfig):
  """Model Garden's AdamW, with a learning rate per layer.

  Attributes:
    exclude_from_weight_decay: by default what our recipes leave out.
    layer_decay: from one layer to the one before it.
    num_layers: of the model; None derives it from the layout.
  """
  name: str = 'LayerwiseAdamW'
  exclude_from_weight_decay: list[str] | None = dataclasses.field(
      default_factory=lambda: list(NOT_DECAYED))
  layer_decay: float = 0.75
  num_layers: int | None = None


@dataclasses.dataclass
class LayerwiseSGDConfig(optimizer_config.SGDConfig):
  """Model Garden's SGD, with a learning rate per layer.

  Attributes:
    layer_decay: from one layer to the one before it.
    num_layers: of the model; None derives it from the layout.
  """
  name: str = 'LayerwiseSGD'
  layer_decay: float = 0.75
  num_layers: int | None = None


def learning_rate_factor(name: str, layer_decay: float,
                         num_layers: int) -> float:
  """Returns how much of the learning rate a variable gets.

  Args:
    name: name of the variable.
    layer_decay: from one layer to the one before it.
    num_layers: of the model.

  Returns:
    The factor, 1 for what follows the layers.
  """
  match = _LAYER.search(name)
  if match:
    layer = int(match[1])
  elif _EMBEDDINGS.search(name):
    layer = 0
  else:
    layer = num_layers + 1
  return layer_decay ** (num_layers + 1 - layer)


class _Layerwise:
  """Mixin over a legacy Keras optimizer."""

  def __init__(self, *args, layer_decay: float, num_layers: int | None,
               **kwargs):
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

  def _resource_apply_dense(self, grad, var, apply_state=None):
    key = (var.device, var.dtype.base_dtype)
    apply_state = dict(apply_state or {})
    coefficients = dict(
        apply_state.get(key) or self._fallback_apply_state(*key))
    factor = learning_rate_factor(
        var.name, self._layer_decay, self._num_layers)
    # Adam keeps the rate twice: as it is, and corrected for its bias.
    for rate in ('lr_t', 'lr'):
      if rate in coefficients:
        coefficients[rate] = coefficients[rate] * factor
    apply_state[key] = coefficients
    return super()._resource_apply_dense(grad, var, apply_state=apply_state)

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), 'layer_decay': self._layer_decay,
            'num_layers': self._num_layers}


class LayerwiseAdamW(_Layerwise, legacy_adamw.AdamWeightDecay):
  """AdamW with layer-wise learning-rate decay."""


class LayerwiseSGD(_Layerwise, tf_keras.optimizers.legacy.SGD):
  """SGD with layer-wise learning-rate decay."""


optimizer_factory.register_optimizer_cls('adamw_layerwise', LayerwiseAdamW)
optimizer_factory.register_optimizer_cls('sgd_layerwise', LayerwiseSGD)
