"""Object detection: Model Garden's RetinaNet on feature maps of ours.

Legend: B batch, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from official.core import task_factory
from official.vision.tasks import retinanet
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import restore
from official_ext.configs import detection as configs
from official_ext.params import read_maps
from official_ext.tasks import dense_backbone


@task_factory.register_task_cls(configs.RetinaNetTask)
class RetinaNetTask(retinanet.RetinaNetTask):
  """Model Garden's task with two differences.

  - A backbone of ours begins from any classifier of ours, of another layout or
    resolution too; Model Garden's needs the same variables.
  - An evaluation without `annotation_file` runs with NumPy 2.4 as well.
  """

  def build_model(self) -> tf_keras.Model:
    """Builds the model.

    Returns:
      Model Garden's RetinaNetModel.

    Raises:
      ValueError: if the backbone has no map that is read, or the sides of the
        images are no multiples of the patches or of the coarsest step.
    """
    if self.task_config.model.backbone.type == 'funnel_vit':
      _check(self.task_config.model)
    return super().build_model()

  def initialize(self, model: tf_keras.Model) -> restore.Plan | None:
    """Loads `init_checkpoint`.

    Args:
      model: what `build_model` returned.

    Returns:
      What became of every variable; None if no checkpoint is asked for, or
      Model Garden loads it: into a backbone of its own, or more than the
      backbone.

    Raises:
      restore.LoadError: if the checkpoint does not fit.
    """
    if not dense_backbone.loads_backbone(self.task_config):
      return super().initialize(model)
    return dense_backbone.initialize(model, self.task_config)

  def validation_step(
      self, inputs: tuple[tf.Tensor, Mapping[str, Any]], model: tf_keras.Model,
      metrics: Sequence[tf_keras.metrics.Metric] | None = None
  ) -> dict[str, Any]:
    """Takes a step of an evaluation.

    Args:
      inputs: images [B, H, W, 3], and what `build_inputs` has beside them.
      model: what `build_model` returned.
      metrics: of the losses; updated.

    Returns:
      The losses, and what COCO's metrics are computed from.
    """
    images, labels = inputs
    objects = labels['groundtruths']
    # The evaluator counts to each of them, and the parser leaves them [B, 1].
    objects = {**objects, 'num_detections': tf.reshape(
        objects['num_detections'], [-1])}
    return super().validation_step(
        (images, {**labels, 'groundtruths': objects}), model, metrics)


def _check(model: configs.RetinaNet) -> None:
  """Refuses what would fail in the middle of a model."""
  if model.min_level > model.max_level:
    raise ValueError(
        f'task.model.min_level is {model.min_level}, but task.model.max_level '
        f'is {model.max_level}. Set it to that at most.')
  # A decoder that adds coarser levels begins at the finest one.
  levels = {model.min_level: 'min_level'}
  if model.decoder.type == 'identity':
    for level in range(model.min_level + 1, model.max_level + 1):
      levels[level] = 'max_level'
  for level, setting in levels.items():
    read_maps.check(model, setting, [level])
  step = 2 ** model.max_level
  if any(side % step for side in model.input_size[:2]):
    raise ValueError(
        f'task.model.input_size is {list(model.input_size)}, but a step of '
        f'level {model.max_level} (task.model.max_level) is {step} px, and '
        'anchors fill whole steps alone. Set the sides to multiples of it.')
