"""Tells an optimizer which weights its frozen first steps are about."""

from __future__ import annotations

from typing import Any

import tf_keras

from official_ext.optimization import layerwise
from official_ext.optimization import moving_average


def prepare(optimizer: Any, model: tf_keras.Model) -> None:
  """Prepares an optimizer for a model, before its first step.

  Args:
    optimizer: as a task creates it: it may scale the loss, or average.
    model: with a `backbone`, if the optimizer is to freeze that.

  Raises:
    ValueError: if weights of the head have the names of weights of the
      backbone.
  """
  inner = optimizer
  if isinstance(optimizer, moving_average.ExponentialMovingAverage):
    inner = optimizer.averaged
  elif isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer):
    inner = optimizer.inner_optimizer
  if not isinstance(inner, layerwise.Layerwise) or (
      not inner.frozen_backbone_steps):
    return
  names = {variable.name for variable in model.backbone.trainable_variables}
  shared = names & {
      variable.name for variable in model.trainable_variables
      if all(variable is not one
             for one in model.backbone.trainable_variables)}
  if shared:
    raise ValueError(
        f'{", ".join(sorted(shared))} is in the backbone and in the head, so '
        'that the backbone alone cannot be frozen. Rename the layer.')
  inner.know_backbone(names)
  if isinstance(optimizer, moving_average.ExponentialMovingAverage):
    optimizer.freeze(names, inner.frozen_backbone_steps)
