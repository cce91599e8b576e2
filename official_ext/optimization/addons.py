"""Optimizers of tensorflow-addons: their settings, and whether they are there.

tensorflow-addons ended with TensorFlow 2.15, so these optimizers exist on that
line alone (`make addons`). Their settings are known on both lines: a
configuration that names one is read everywhere, and refused with the reason
where it cannot run.

All of them decay weights as Model Garden's AdamW does: each step takes
learning rate x weight_decay_rate of every variable whose name matches none of
`exclude_from_weight_decay`.
"""

from __future__ import annotations

import dataclasses

from official.modeling.optimization.configs import optimizer_config
import tensorflow as tf

from official_ext.optimization import layerwise

try:
  # Registers them.
  from official_ext.optimization import addons_optimizers  # noqa: F401
  _REASON = None
except ImportError as error:
  _REASON = (
      'which is not installed' if error.name == 'tensorflow_addons'
      else f'which cannot be imported ({error})')


@dataclasses.dataclass
class _DecayedConfig(optimizer_config.BaseOptimizerConfig):
  """The settings that all of them have.

  Attributes:
    weight_decay_rate: fraction of a variable that is taken from it in a step,
      times the learning rate.
    exclude_from_weight_decay: patterns of variables that are not decayed.
  """
  weight_decay_rate: float = 0.0
  exclude_from_weight_decay: list[str] | None = dataclasses.field(
      default_factory=lambda: list(layerwise.NOT_DECAYED))


@dataclasses.dataclass
class _AdaptiveConfig(_DecayedConfig):
  """The settings of those that follow Adam, with its values.

  Attributes:
    beta_1: decay of the first moment.
    beta_2: decay of the second moment.
    epsilon: added to the root of the second moment.
  """
  beta_1: float = 0.9
  beta_2: float = 0.999
  epsilon: float = 1e-7


@dataclasses.dataclass
class RectifiedAdamConfig(_AdaptiveConfig):
  """RAdam (arXiv 1908.03265).

  Attributes:
    name: of the optimizer.
    sma_threshold: how many steps the second moment must stand for before it is
      used; until then the step is that of momentum alone.
  """
  name: str = 'RectifiedAdam'
  sma_threshold: float = 5.0


@dataclasses.dataclass
class LookaheadConfig(RectifiedAdamConfig):
  """Lookahead (arXiv 1907.08610) over RAdam, also known as Ranger.

  Attributes:
    name: of the optimizer around RAdam.
    sync_period: steps that RAdam makes before they are looked back on.
    slow_step_size: fraction of the way that is then kept.
  """
  name: str = 'Lookahead'
  sync_period: int = 6
  slow_step_size: float = 0.5


@dataclasses.dataclass
class NovoGradConfig(_AdaptiveConfig):
  """NovoGrad (arXiv 1905.11286): one second moment per variable.

  Attributes:
    name: of the optimizer.
    grad_averaging: whether the first moment is an average, as Adam's, or a
      sum.
  """
  name: str = 'NovoGrad'
  beta_1: float = 0.95
  beta_2: float = 0.98
  epsilon: float = 1e-8
  grad_averaging: bool = False


@dataclasses.dataclass
class YogiConfig(_AdaptiveConfig):
  """Yogi (Zaheer et al., NeurIPS 2018): Adam whose second moment moves slowly.

  Attributes:
    name: of the optimizer.
    initial_accumulator_value: the second moment at the start.
  """
  name: str = 'Yogi'
  epsilon: float = 1e-3
  initial_accumulator_value: float = 1e-6


@dataclasses.dataclass
class SGDWConfig(_DecayedConfig):
  """SGD with decoupled weight decay (arXiv 1711.05101).

  Attributes:
    name: of the optimizer.
    momentum: of the gradients.
    nesterov: whether the momentum is Nesterov's.
  """
  name: str = 'SGDW'
  momentum: float = 0.9
  nesterov: bool = False


# By the name that `optimizer.type` takes.
CONFIGS = {
    'radam': RectifiedAdamConfig,
    'radam_lookahead': LookaheadConfig,
    'novograd': NovoGradConfig,
    'yogi': YogiConfig,
    'sgdw': SGDWConfig,
}


def check(optimizer_type: str | None) -> None:
  """Refuses an optimizer of tensorflow-addons where it cannot run.

  Args:
    optimizer_type: the type that a configuration names.

  Raises:
    ValueError: saying why, and what to do.
  """
  if optimizer_type in CONFIGS and _REASON:
    raise ValueError(
        f'trainer.optimizer_config.optimizer.type is {optimizer_type!r}, an '
        f'optimizer of tensorflow-addons, {_REASON}. It works with TensorFlow '
        f'2.15 at most; this is {tf.__version__}. Set that line up with `make '
        'addons` and run the command with .venv-addons/bin/python, or choose '
        "one of Model Garden's optimizers, such as 'adamw'.")
