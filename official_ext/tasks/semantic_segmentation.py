"""Semantic segmentation: Model Garden's task, with its silent errors refused.

Legend: B batch, H x W pixels, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
from typing import Any

from absl import logging
from official.core import task_factory
from official.vision.evaluation import segmentation_metrics
from official.vision.tasks import semantic_segmentation
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import metadata
from official_ext.checkpoints import preprocessing
from official_ext.checkpoints import restore
from official_ext.configs import semantic_segmentation as configs
from official_ext.modeling import costs
from official_ext.modeling import random_masks
from official_ext.modeling import specs
from official_ext.optimization import moving_average
from official_ext.params import segmentation
from official_ext.tasks import bad_records
from official_ext.tasks import class_names
from official_ext.tasks import dense_backbone
from official_ext.tasks import exif_orientation
from official_ext.tasks import mask_records
from official_ext.tasks import preflight
from official_ext.tasks import protocol
from official_ext.tasks import segmentation_input

_MEAN_IOU = 'mean_iou'
# What a seed of NumPy and TensorFlow stays below.
_NUM_SEEDS = 2**32


@task_factory.register_task_cls(configs.SemanticSegmentationTask)
class SemanticSegmentationTask(
    semantic_segmentation.SemanticSegmentationTask, protocol.Task):
  """Model Garden's task with five differences.

  - A backbone of ours begins from any classifier of ours, of another layout or
    resolution too; Model Garden's needs the same variables.
  - A value in a mask that is neither a class nor the label to ignore raises
    InvalidArgumentError; Model Garden trains on nothing there without a word.
  - The mean IoU is of every batch; Model Garden forgets the first one.
  - It is over the classes that are in a mask or in a prediction, as in
    `tf_keras.metrics.MeanIoU`; Model Garden counts a class that is in neither
    as 0.
  - An evaluation at the size of the images has a loss; Model Garden's is 0.
  """
  kind = 'semantic segmentation'

  def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    # How many images are trained on already.
    self._position = 0

  def check_files(self, names: Sequence[str]) -> None:
    for name in names:
      preflight.match_files(
          getattr(self.task_config, name).input_path, f'task.{name}')

  def check_records(self, names: Sequence[str],
                    follows_epochs: bool = False,
                    model_dir: str = '') -> None:
    preflight.check_records(
        self.task_config, names, follows_epochs,
        check=mask_records.check_record)

  def describe_data(self, known: Mapping[str, Any],
                    trains: bool) -> dict[str, Any]:
    described = dict(known)
    if class_names.KEY not in known:
      described |= class_names.describe(self.task_config, trains)
    if trains and exif_orientation.KEY not in known:
      described |= exif_orientation.describe(self.task_config)
    return described

  def compare_data(self, names: Sequence[str], model_dir: str) -> None:
    config = self.task_config
    for name in names:
      exif_orientation.check_same(
          self.data_description, getattr(config, name).input_path,
          config.data_dir, f'task.{name}')

  def save_data_description(self, folder: str) -> None:
    if names := self.data_description.get(class_names.KEY):
      class_names.write(os.path.join(folder, class_names.FILE), names)

  def saved_data_description(self, folder: str) -> dict[str, Any]:
    path = os.path.join(folder, class_names.FILE)
    return ({class_names.KEY: class_names.read(path)}
            if tf.io.gfile.exists(path) else {})

  def enter_data(self, position: int, known: Mapping[str, Any],
                 num_workers: int) -> dict[str, Any]:
    """Begins a new order of the images: Model Garden's reader has no place."""
    self._position = position
    if position:
      logging.warning(
          'the order of the images begins anew: of a segmentation it is not '
          'gone on with, so this epoch may repeat images and leave out others')
    return {}

  def explain(self, error: Exception) -> str | None:
    return mask_records.explain(error) or bad_records.explain(
        error, self.task_config)

  def find_record(self, error: Exception, names: Sequence[str]) -> str | None:
    return bad_records.find(
        self.task_config, names, error, check=mask_records.check_record,
        is_of_content=mask_records.explain(error) is not None)

  def describe(self) -> str:
    model = self.task_config.model
    decoded = f'decoder {model.decoder.type}, {model.num_classes} classes'
    spec = specs.of_model(model)
    if spec is None:
      return f'backbone {model.backbone.type}, {decoded}'
    levels = ', '.join(map(str, spec.feature_maps.levels))
    return (f'Funnel-ViT {specs.kind(spec)}, {spec.layout_with_tokens}: '
            f'{costs.count_parameters(spec) / 1e6:.1f} M parameters, '
            f'{costs.count_multiply_adds(spec) / 1e9:.3g} GMACs per image; '
            f'maps of level {levels}, {decoded}')

  def metrics(self) -> Sequence[tuple[str, str, str]]:
    return [('mean IoU', _MEAN_IOU, _MEAN_IOU),
            ('loss', 'training_loss', 'validation_loss')]

  def best_checkpoint_metrics(self) -> Sequence[str] | None:
    config = self.task_config
    names = [_MEAN_IOU, 'validation_loss']
    if config.evaluation.report_per_class_iou:
      names += [f'iou/{index}' for index in range(config.model.num_classes)]
    return names

  @classmethod
  def create_optimizer(cls, optimizer_config, runtime_config=None,
                       dp_config=None) -> tf_keras.optimizers.Optimizer:
    return moving_average.create(
        super().create_optimizer, optimizer_config, runtime_config, dp_config)

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
      segmentation.check_maps(model)
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
    if not config.init_checkpoint:
      return None
    if not dense_backbone.loads_backbone(config):
      return super().initialize(model)
    report = dense_backbone.initialize(model, config)
    preprocessing.warn_of_others(metadata.read(report.path) or {}, config)
    return report

  def build_inputs(
      self,
      params: configs.DataConfig,
      input_context: tf.distribute.InputContext | None = None,
  ) -> tf.data.Dataset:
    """Builds Model Garden's input pipeline, and checks the masks.

    Args:
      params: the data settings.
      input_context: which shard of the data this worker reads.

    Returns:
      As `segmentation_input.read`.
    """
    seed = params.seed
    if params.is_training and seed is not None:
      # Else each start would begin with the same images.
      seed = (seed + self._position) % _NUM_SEEDS
    return segmentation_input.read(
        self.task_config, params, input_context, seed)

  def train_step(
      self,
      inputs: tuple[tf.Tensor, Mapping[str, tf.Tensor]],
      model: tf_keras.Model,
      optimizer: tf_keras.optimizers.Optimizer,
      metrics: Sequence[tf_keras.metrics.Metric] | None = None,
  ) -> dict[str, tf.Tensor]:
    """Takes Model Garden's train step, its masks of dropout by seed and step.

    Args:
      inputs: images [B, H, W, 3], and labels as of `build_inputs`.
      model: the model.
      optimizer: what updates its weights.
      metrics: what to update.

    Returns:
      The mean loss of the pixels, and the metrics.
    """
    with random_masks.of_step(self.seed, optimizer.iterations):
      return super().train_step(inputs, model, optimizer, metrics)

  def validation_step(
      self,
      inputs: tuple[tf.Tensor, Mapping[str, tf.Tensor]],
      model: tf_keras.Model,
      metrics: Sequence[tf_keras.metrics.Metric] | None = None,
  ) -> dict[str, tf.Tensor]:
    """Evaluates a batch, at the size of its masks.

    Args:
      inputs: as of `train_step`.
      model: the model.
      metrics: what to update, beside the IoU.

    Returns:
      The mean loss of the pixels that count, and under
      `protocol.NUM_EXAMPLES` how many images they are of.
    """
    images, labels = inputs
    outputs = self.inference_step(images, model)
    if isinstance(outputs, tf.Tensor):
      outputs = {'logits': outputs}
    outputs = tf.nest.map_structure(
        lambda one: tf.cast(one, tf.float32), outputs)
    if not self.task_config.validation_data.resize_eval_groundtruth:
      logits, _, _ = segmentation_metrics.preprocess_inputs(
          labels, outputs['logits'], rescale_predictions=True)
      scaled = {'logits': logits}
    else:
      scaled = outputs
    loss = self.build_losses(labels, scaled, model.losses)
    if self.iou_metric is not None:
      self.iou_metric.update_state(labels, outputs['logits'])
    self.process_metrics(metrics or (), labels, outputs)
    return {self.loss: loss,
            protocol.NUM_EXAMPLES: tf.cast(tf.shape(images)[0], tf.float32)}

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
