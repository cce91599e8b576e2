"""Image classification: Model Garden's task, labels checked, none left out.

Legend: B batch, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
from typing import Any

import numpy as np
from official.core import task_factory
from official.vision.tasks import image_classification
import tensorflow as tf
import tf_keras

from official_ext.checkpoints import metadata
from official_ext.checkpoints import preprocessing
from official_ext.checkpoints import restore
from official_ext.command_line import errors
from official_ext.configs import image_classification as configs
from official_ext.modeling import classifier
from official_ext.modeling import costs
from official_ext.modeling import random_masks
from official_ext.modeling import specs
from official_ext.optimization import moving_average
from official_ext.tasks import accumulation
from official_ext.tasks import bad_records
from official_ext.tasks import class_names
from official_ext.tasks import class_weights
from official_ext.tasks import corrupt_records
from official_ext.tasks import distillation
from official_ext.tasks import exact_evaluation
from official_ext.tasks import exif_orientation
from official_ext.tasks import guessing
from official_ext.tasks import label_mapping
from official_ext.tasks import label_offset
from official_ext.tasks import mean_recall
from official_ext.tasks import parsing
from official_ext.tasks import preflight
from official_ext.tasks import protocol
from official_ext.tasks import ranking
from official_ext.tasks import record_counts
from official_ext.tasks import record_order
from official_ext.tasks import training_records


@task_factory.register_task_cls(configs.ImageClassificationTask)
class ImageClassificationTask(
    image_classification.ImageClassificationTask, protocol.Task):
  """Model Garden's task on our data settings.

  Model Garden trains on nothing, without a word, where a record has no label
  (it decodes to -1) or a label is the number of classes or more (its one-hot
  vector is all zeros). Here the input pipeline raises InvalidArgumentError.
  """
  kind = 'image classification'

  def check_files(self, names: Sequence[str]) -> None:
    preflight.check_files(self.task_config, names)

  def check_records(self, names: Sequence[str],
                    follows_epochs: bool = False,
                    model_dir: str = '') -> None:
    data = self.task_config.train_data
    if 'train_data' in names and data.max_corrupt_records and (
        not data.tfds_name):
      self._checked = corrupt_records.check(self.task_config, model_dir)
      self._copies = corrupt_records.copy(self._checked)
    preflight.check_records(
        self.task_config, names, follows_epochs, self._copies)
    if 'train_data' in names:
      self._record_counts = training_records.count(data, model_dir)
      self._class_weights = class_weights.find(
          self.task_config, self._label_mappings.get(True), self._copies)
      self._sampling = class_weights.find_sampling(
          self.task_config, self._label_mappings.get(True), self._copies)

  def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    self._checked: corrupt_records.Checked | None = None
    self._record_counts: record_counts.Counts | None = None
    # Of files that hold corrupt records, without these.
    self._copies: Mapping[str, str] = {}
    # How the labels of a data set are mapped, by whether it is for training.
    self._label_mappings: dict[bool, label_mapping.LabelMapping | None] = {}
    self._data_start: training_records.Start | None = None
    # Of the training loss, by class; None: all images count the same.
    self._class_weights: np.ndarray | None = None
    self._sampling: record_order.Sampling | None = None

  def build_model(self) -> tf_keras.Model:
    """Builds the classifier.

    Returns:
      The model.

    Raises:
      errors.UserError: if a backbone of Model Garden's own, whose sizes are not
        checked before, does not fit the images.
    """
    config = self.task_config
    if config.model.backbone.type != 'funnel_vit':
      return self._build_gardens_model()
    # Model Garden's weight decay is half of the square, as tf.nn.l2_loss is.
    decay = config.losses.l2_weight_decay
    model = classifier.build(
        config.model, tf_keras.regularizers.l2(decay / 2) if decay else None)
    if config.freeze_backbone:
      model.backbone.trainable = False
    return model

  def _build_gardens_model(self) -> tf_keras.Model:
    """Builds a classifier on a backbone of Model Garden's own."""
    model = self.task_config.model
    try:
      return super().build_model()
    except ValueError as error:
      raise errors.UserError(
          f"Model Garden's backbone {model.backbone.type} cannot be built for "
          f'images of {model.input_size[0]} x {model.input_size[1]} px: '
          f'{errors.reason(error)}. Change task.model.input_size or '
          f'task.model.backbone.{model.backbone.type}.') from error

  @classmethod
  def create_optimizer(cls, optimizer_config, runtime_config=None,
                       dp_config=None) -> tf_keras.optimizers.Optimizer:
    return moving_average.create(
        super().create_optimizer, optimizer_config, runtime_config, dp_config)

  def describe_data(self, known: Mapping[str, Any],
                    trains: bool) -> dict[str, Any]:
    described = dict(known)
    if class_names.KEY not in known:
      described |= class_names.describe(self.task_config, trains)
    if trains and exif_orientation.KEY not in known:
      described |= exif_orientation.describe(self.task_config)
    return self.teacher.described(described) if self.teacher else described

  def notes(self, train_logs: Mapping[str, float]) -> Sequence[str]:
    found = class_weights.notes(
        self._class_weights, self.task_config.class_weights, self.class_names())
    if self._checked:
      found.append(f'{"records":12}{self._checked}: {corrupt_records.FILE}')
    return found + guessing.notes(
        self.task_config, train_logs.get('training_loss'))

  def save_data_description(self, folder: str) -> None:
    for found in (self._checked, self._record_counts):
      if found:
        found.write(folder)
    if names := self.data_description.get(class_names.KEY):
      class_names.write(os.path.join(folder, class_names.FILE), names)

  def saved_data_description(self, folder: str) -> dict[str, Any]:
    path = os.path.join(folder, class_names.FILE)
    return ({class_names.KEY: class_names.read(path)}
            if tf.io.gfile.exists(path) else {})

  def compare_data(self, names: Sequence[str], model_dir: str) -> None:
    config = self.task_config
    fix = class_names.advice(config, model_dir)
    if class_names.come_with_weights(config):
      fix += (' Only the weights below the head are taken with '
              'task.init_checkpoint_modules=all_but_head.')
    if self.teacher:
      self.teacher.check_classes(self.class_names())
    for name in names:
      data = getattr(config, name)
      exif_orientation.check_same(
          self.data_description, data.input_path, config.data_dir,
          f'task.{name}')
      self._label_mappings[data.is_training] = label_mapping.of_data_set(
          config, data, self.data_description, f'task.{name}', fix)

  def enter_data(self, position: int, known: Mapping[str, Any],
                 num_workers: int) -> dict[str, Any]:
    self._data_start = training_records.enter(
        self.task_config.train_data, position, known, num_workers,
        self._record_counts, self._sampling)
    return self._data_start.described

  def check_batches(self, num_replicas: int) -> None:
    """Checks that batches divide by the replicas, and those by microbatches."""
    super().check_batches(num_replicas)
    num_microbatches = self.task_config.gradient_accumulation_steps
    batch_size = self.task_config.train_data.global_batch_size
    if batch_size % (num_replicas * num_microbatches):
      raise ValueError(
          f'task.train_data.global_batch_size is {batch_size}, which does not '
          f'divide into {num_microbatches} microbatches '
          f'(task.gradient_accumulation_steps) on each of {num_replicas} '
          f'replicas. Use a multiple of {num_replicas * num_microbatches}.')

  def explain(self, error: Exception) -> str | None:
    return bad_records.explain(error, self.task_config)

  def find_record(self, error: Exception, names: Sequence[str]) -> str | None:
    return bad_records.find(
        self.task_config, names, error, self._record_counts, self._copies)

  def describe(self) -> str:
    model = self.task_config.model
    spec = specs.of_model(model)
    taught = f'; {self.teacher.describe(model)}' if self.teacher else ''
    if spec is None:
      return f'backbone {model.backbone.type}{taught}'
    num_parameters = costs.count_parameters(spec, model.num_classes)
    multiply_adds = costs.count_multiply_adds(spec, model.num_classes)
    return (f'Funnel-ViT {specs.kind(spec)}, {spec.layout_with_tokens}: '
            f'{num_parameters / 1e6:.1f} M parameters, '
            f'{multiply_adds / 1e9:.3g} GMACs per image{taught}')

  def build_metrics(
      self, training: bool = True) -> list[tf_keras.metrics.Metric]:
    """Builds Model Garden's metrics, with accuracies as `ranking` has them.

    Evaluations of images with one class each have the mean recall too.

    Args:
      training: whether they are those of a train step.

    Returns:
      The metrics.
    """
    config = self.task_config
    metrics = ranking.ranked(super().build_metrics(training),
                             config.evaluation.top_k, config.model.num_classes)
    if training:
      return metrics + distillation.metrics(config.distillation)
    if not config.train_data.is_multilabel:
      metrics.append(mean_recall.MeanRecall(config.model.num_classes))
    return metrics

  def metrics(self) -> Sequence[tuple[str, str, str]]:
    config = self.task_config
    return [
        *ranking.rows(config.evaluation.top_k, config.model.num_classes),
        ('loss', 'training_loss', 'validation_loss')]

  def best_checkpoint_metrics(self) -> Sequence[str] | None:
    # With several labels per image, Model Garden's task has many more.
    if self.task_config.train_data.is_multilabel:
      return None
    # Model Garden's top-k is one where a smaller k is shown.
    return list(dict.fromkeys([
        *(name for _, _, name in self.metrics()),
        f'top_{self.task_config.evaluation.top_k}_accuracy',
        mean_recall.NAME]))

  def initialize(self, model: tf_keras.Model) -> restore.Plan | None:
    """Loads `init_checkpoint` and logs what became of every variable.

    Args:
      model: the classifier.

    Returns:
      The report; None if no checkpoint is asked for, or the backbone is one of
      Model Garden's own, which Model Garden then loads.

    Raises:
      restore.LoadError: if the checkpoint does not fit.
    """
    config = self.task_config
    if not config.init_checkpoint:
      return None
    if config.model.backbone.type != 'funnel_vit':
      return super().initialize(model)
    try:
      report = restore.load(
          model,
          config.init_checkpoint,
          modules=config.init_checkpoint_modules,
          method=config.init_checkpoint_resize_method,
          source_grid=config.init_checkpoint_grid)
    except ValueError as error:
      # Damaged files among them.
      raise restore.LoadError(f'task.init_checkpoint: {error}') from error
    report.log()
    preprocessing.warn_of_others(metadata.read(report.path) or {}, config)
    return report

  def build_inputs(
      self,
      params: configs.DataConfig,
      input_context: tf.distribute.InputContext | None = None,
  ) -> tf.data.Dataset:
    """Builds the input pipeline and checks its labels.

    Args:
      params: the data settings.
      input_context: which shard of the data this worker reads.

    Returns:
      Batches of images, [B, height, width, 3], and labels: int32 [B], or
      float32 [B, C] where mixup or cutmix made them soft. In evaluation the
      labels come with weights, float32 [B], that are 0 for what fills the last
      batch up.
    """
    dataset = parsing.read(
        self.task_config, params, input_context,
        self._label_mappings.get(params.is_training),
        self._data_start, self._copies)
    dataset = label_offset.check(dataset, self.task_config, params)
    return dataset.prefetch(params.prefetch_buffer_size or tf.data.AUTOTUNE)

  def train_step(
      self,
      inputs: tuple[tf.Tensor, tf.Tensor],
      model: tf_keras.Model,
      optimizer: tf_keras.optimizers.Optimizer,
      metrics: Sequence[tf_keras.metrics.Metric] | None = None,
  ) -> dict[str, tf.Tensor]:
    """Takes Model Garden's train step, on microbatches if so configured.

    Args:
      inputs: images [B, height, width, 3], and labels.
      model: the classifier.
      optimizer: what updates its weights, once.
      metrics: what to update.

    Returns:
      The mean loss of the batch.
    """
    num_microbatches = self.task_config.gradient_accumulation_steps
    garden_step = distillation.taught(
        super().train_step, self.task_config.distillation, self.teacher)

    def step(microbatch, collector, index):
      with random_masks.of_microbatch(index):
        return garden_step(microbatch, model, collector, metrics)[self.loss]

    with random_masks.of_step(self.seed, optimizer.iterations):
      if num_microbatches == 1:
        return garden_step(inputs, model, optimizer, metrics)
      return {self.loss: accumulation.train_step(
          step, inputs, num_microbatches, optimizer,
          model.trainable_variables)}

  def build_losses(self, labels: tf.Tensor, model_outputs: tf.Tensor,
                   aux_losses: Sequence[tf.Tensor] | None = None) -> tf.Tensor:
    """Builds Model Garden's loss, by class and by teacher if asked for.

    Args:
      labels: as Model Garden's `train_step` makes them.
      model_outputs: logits, [B, C].
      aux_losses: the model's own, such as weight regularisation.

    Returns:
      The loss of a training batch, [].
    """
    weights, taught = self._class_weights, distillation.current()
    if weights is None and taught is None:
      return super().build_losses(labels, model_outputs, aux_losses)
    factor = self.task_config.losses.loss_weight
    if weights is None:
      loss = super().build_losses(labels, model_outputs)
    else:
      loss = class_weights.weighted_loss(
          super().build_losses, labels, model_outputs, weights)
    if taught:
      loss = taught.loss(loss, labels, model_outputs, weights, factor)
    return loss + factor * tf.add_n(aux_losses) if aux_losses else loss

  def targets(self, labels: tf.Tensor) -> tf.Tensor:
    """Returns labels, int32 [B], as the losses take them: [B] or [B, C]."""
    losses = self.task_config.losses
    if ((losses.one_hot or losses.soft_labels) and
        not self.task_config.train_data.is_multilabel):
      return tf.one_hot(labels, self.task_config.model.num_classes)
    return labels

  def validation_step(
      self,
      inputs: tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]],
      model: tf_keras.Model,
      metrics: Sequence[tf_keras.metrics.Metric] | None = None,
  ) -> dict[str, tf.Tensor]:
    """Evaluates a batch of which some images may only fill it up.

    Args:
      inputs: images [B, height, width, 3], and labels with weights [B].
      model: the classifier.
      metrics: what to update.

    Returns:
      The mean loss of the images that count, and under `protocol.NUM_EXAMPLES`
      how many they are.
    """
    images, (labels, weights) = inputs
    labels = self.targets(labels)
    outputs = tf.cast(self.inference_step(images, model), tf.float32)
    loss = exact_evaluation.weighted_loss(
        super().build_losses, labels, outputs, weights, model.losses)
    if self.task_config.model.output_softmax:
      outputs = tf.nn.softmax(outputs, axis=-1)
    for metric in metrics or ():
      metric.update_state(labels, outputs, sample_weight=weights)
    return {self.loss: loss, protocol.NUM_EXAMPLES: tf.reduce_sum(weights)}
