"""Semantic segmentation: Model Garden's task, with its silent errors refused.

Legend: B batch, H x W pixels, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from official.core import task_factory
from official.vision.configs import semantic_segmentation as garden_configs
from official.vision.tasks import semantic_segmentation
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import restore
from official_ext.configs import semantic_segmentation as configs
from official_ext.modeling import specs


@task_factory.register_task_cls(configs.SemanticSegmentationTask)
class SemanticSegmentationTask(
    semantic_segmentation.SemanticSegmentationTask):
  """Model Garden's task with four differences.

  - A backbone of ours begins from any classifier of ours, of another layout or
    resolution too; Model Garden's needs the same variables.
  - A value in a mask that is neither a class nor the label to ignore raises
    InvalidArgumentError; Model Garden trains on nothing there without a word.
  - The mean IoU is of every batch; Model Garden forgets the first one.
  - It is over the classes that are in a mask or in a prediction, as in
    `tf_keras.metrics.MeanIoU`; Model Garden counts a class that is in neither
    as 0.
  """

  def build_model(self) -> tf_keras.Model:
    """Builds the model.

    Returns:
      Model Garden's SegmentationModel.

    Raises:
      ValueError: if the backbone has no map that the head reads, or patches do
        not fill the images.
    """
    model = self.task_config.model
    if model.backbone.type == 'funnel_vit':
      _check(model)
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
    config = self.task_config
    modules = config.init_checkpoint_modules
    if not config.init_checkpoint:
      return None
    if (config.model.backbone.type != 'funnel_vit' or
        modules not in ('backbone', ['backbone'])):
      return super().initialize(model)
    try:
      report = restore.load(
          model, config.init_checkpoint, modules='backbone',
          method=config.init_checkpoint_resize_method,
          source_grid=config.init_checkpoint_grid)
    except ValueError as error:
      raise restore.LoadError(f'task.init_checkpoint: {error}') from error
    report.log()
    return report

  def build_inputs(
      self,
      params: garden_configs.DataConfig,
      input_context: tf.distribute.InputContext | None = None,
  ) -> tf.data.Dataset:
    """Builds Model Garden's input pipeline, and checks the masks.

    Args:
      params: the data settings.
      input_context: which shard of the data this worker reads.

    Returns:
      Batches of images, [B, H, W, 3], and a dictionary: `masks` [B, H, W, 1],
      `valid_masks` likewise, and `image_info` [B, 4, 2].
    """
    dataset = super().build_inputs(params, input_context)
    if self.task_config.losses.gt_is_matting_map:
      return dataset
    return dataset.map(self._check_masks, tf.data.AUTOTUNE).prefetch(
        tf.data.AUTOTUNE)

  def _check_masks(self, images: tf.Tensor, labels: Mapping[str, tf.Tensor]
                   ) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
    """Refuses values that are no class."""
    num_classes = self.task_config.model.num_classes
    ignore_label = self.task_config.losses.ignore_label
    largest = tf.reduce_max(tf.where(
        labels['valid_masks'], labels['masks'],
        tf.zeros_like(labels['masks'])))
    check = tf.debugging.Assert(largest < num_classes, [
        'A mask has the value', tf.cast(largest, tf.int32),
        f', but task.model.num_classes is {num_classes}: classes are 0 to '
        f'{num_classes - 1}, and {ignore_label} is ignored '
        '(task.losses.ignore_label).'])
    with tf.control_dependencies([check]):
      return tf.identity(images), labels

  def aggregate_logs(self, state: Any = None,
                     step_outputs: Mapping[str, Any] | None = None) -> Any:
    """Gathers what the batches of an evaluation return.

    Args:
      state: what this returned for the batch before; None: there is none.
      step_outputs: what `validation_step` returned, of every replica.

    Returns:
      What was gathered, or True.
    """
    # Without a state Model Garden resets the IoU, which the first batch has
    # been counted in by then: `reduce_aggregated_logs` resets it instead.
    return super().aggregate_logs(
        {} if state is None else state, step_outputs) or True

  def reduce_aggregated_logs(
      self, aggregated_logs: Any,
      global_step: tf.Tensor | None = None) -> dict[str, Any]:
    """Sums an evaluation up as Model Garden does, but for the mean IoU.

    Args:
      aggregated_logs: what `aggregate_logs` returned.
      global_step: of the training.

    Returns:
      `mean_iou` over the classes that are in a mask or in a prediction, and
      `iou/<class>` of each class, 0 if it is in neither.
    """
    logs = super().reduce_aggregated_logs(aggregated_logs, global_step)
    if self.iou_metric is not None:
      counts = self.iou_metric.total_cm  # [C, C]
      occurs = tf.reduce_sum(counts, 0) + tf.reduce_sum(counts, 1) > 0
      logs['mean_iou'] = tf.reduce_mean(
          tf.boolean_mask(self.iou_metric.result(), occurs))
      self.iou_metric.reset_state()
    return logs


def _check(model: configs.SemanticSegmentationModel) -> None:
  """Refuses what would fail, or lose pixels, in the middle of a model."""
  size = model.input_size
  if len(size) != 3 or not all(isinstance(side, int) for side in size):
    raise ValueError(
        f'task.model.input_size is {list(size)}, but a position embedding is '
        'for one size. Set it to [height,width,3], px.')
  spec = specs.of_model(model)
  specs.check_patches(size[:2], spec.patch_size, 'task.model.input_size')
  setting, level = {
      'identity': ('head.level', model.head.level),
      'aspp': ('decoder.aspp.level', model.decoder.aspp.level),
  }.get(model.decoder.type, ('min_level', model.min_level))
  levels = spec.feature_maps.levels
  if level not in levels:
    raise ValueError(
        f'task.model.{setting} is {level}, but the maps of the backbone are of '
        f'levels {", ".join(map(str, levels)) or "none"}. Set '
        'task.model.backbone.funnel_vit.feature_maps.levels, or another '
        f'{setting}.')
