"""The choice of optimizers: Model Garden's, ours and tensorflow-addons'."""

from __future__ import annotations

import dataclasses

from official.modeling import optimization

from official_ext.optimization import addons
from official_ext.optimization import layerwise


@dataclasses.dataclass
class OptimizerConfig(optimization.OptimizerConfig):
  """Model Garden's choice of optimizers, and what is added to it."""
  adamw_layerwise: layerwise.LayerwiseAdamWConfig = dataclasses.field(
      default_factory=layerwise.LayerwiseAdamWConfig)
  sgd_layerwise: layerwise.LayerwiseSGDConfig = dataclasses.field(
      default_factory=layerwise.LayerwiseSGDConfig)
  radam: addons.RectifiedAdamConfig = dataclasses.field(
      default_factory=addons.RectifiedAdamConfig)
  radam_lookahead: addons.LookaheadConfig = dataclasses.field(
      default_factory=addons.LookaheadConfig)
  novograd: addons.NovoGradConfig = dataclasses.field(
      default_factory=addons.NovoGradConfig)
  yogi: addons.YogiConfig = dataclasses.field(
      default_factory=addons.YogiConfig)
  sgdw: addons.SGDWConfig = dataclasses.field(
      default_factory=addons.SGDWConfig)


@dataclasses.dataclass
class OptimizationConfig(optimization.OptimizationConfig):
  """Model Garden's optimization settings on our choice of optimizers."""
  optimizer: OptimizerConfig = dataclasses.field(
      default_factory=OptimizerConfig)
