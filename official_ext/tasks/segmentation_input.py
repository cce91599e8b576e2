"""Model Garden's input pipeline of images with masks, put together.

Legend: B batch, H x W pixels of the input.
"""

from __future__ import annotations

from collections.abc import Mapping

from official.common import dataset_fn
from official.vision.dataloaders import segmentation_input
import tensorflow as tf

from official_ext.configs import semantic_segmentation as configs
from official_ext.tasks import mask_records
from official_ext.tasks import parsing


def build_parser(task: configs.SemanticSegmentationTask,
                 data: configs.DataConfig) -> segmentation_input.Parser:
  """Builds Model Garden's parser of a data set.

  Args:
    task: the task's configuration, resolved.
    data: the settings of the data set.

  Returns:
    The parser.
  """
  settings = {name: getattr(data, name) for name in (
      'output_size', 'crop_size', 'resize_eval_groundtruth',
      'groundtruth_padded_size', 'aug_scale_min', 'aug_scale_max',
      'aug_rand_hflip', 'preserve_aspect_ratio', 'dtype', 'image_feature',
      # Not in Model Garden for TensorFlow 2.15.
      'centered_crop') if hasattr(data, name)}
  return segmentation_input.Parser(
      ignore_label=task.losses.ignore_label,
      gt_is_matting_map=task.losses.gt_is_matting_map, **settings)


def read(task: configs.SemanticSegmentationTask, data: configs.DataConfig,
         input_context: tf.distribute.InputContext | None,
         seed: int | None) -> tf.data.Dataset:
  """Reads a data set, and refuses masks with values that are no class.

  Args:
    task: the task's configuration, resolved.
    data: the settings of the data set.
    input_context: which shard of the data this worker reads.
    seed: of the order; None: a new one.

  Returns:
    Batches of images, [B, H, W, 3], and a dictionary: `masks` [B, H, W, 1],
    `valid_masks` likewise, and `image_info` [B, 4, 2].
  """
  reader = parsing.InputReader(
      data.replace(seed=seed),
      dataset_fn=dataset_fn.pick_dataset_fn(data.file_type),
      decoder_fn=segmentation_input.Decoder(
          image_feature=data.image_feature).decode,
      parser_fn=build_parser(task, data).parse_fn(data.is_training))
  dataset = reader.read(input_context=input_context)
  if task.losses.gt_is_matting_map:
    return dataset

  def check(images: tf.Tensor, labels: Mapping[str, tf.Tensor]):
    checked = mask_records.check_masks(
        labels['masks'], labels['valid_masks'], task)
    with tf.control_dependencies([checked]):
      return tf.identity(images), labels

  return dataset.map(check, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
