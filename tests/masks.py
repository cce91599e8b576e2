"""Small images with masks, models that segment them, and folders of such."""

import io

import numpy as np
from official.core import task_factory
from official.core import train_utils
from PIL import Image
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.params import experiment

FUNNEL_VIT = 'task.model.backbone.funnel_vit'
# (height, width) of the images, in a model of 32 x 32 px.
SIZES = [(32, 32), (20, 32), (32, 12), (45, 64)]
COLORS = np.array([[40, 40, 40], [220, 30, 30], [30, 220, 30]], np.uint8)


def mask_of(height, width):
  """Background, class 1 at the right, class 2 below, a frame to ignore."""
  mask = np.zeros((height, width), np.uint8)
  mask[:, width // 2:] = 1
  mask[height // 2:] = 2
  mask[0] = 255
  return mask


def image_of(mask):
  """Each class in its colour."""
  return COLORS[np.where(mask < len(COLORS), mask, 0)]


def encode(pixels):
  encoded = io.BytesIO()
  Image.fromarray(pixels).save(encoded, format='PNG')
  return encoded.getvalue()


def example(mask):
  def feature(value):
    if isinstance(value, bytes):
      return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

  return tf.train.Example(features=tf.train.Features(feature={
      'image/encoded': feature(encode(image_of(mask))),
      'image/height': feature(mask.shape[0]),
      'image/width': feature(mask.shape[1]),
      'image/segmentation/class/encoded': feature(encode(mask)),
  })).SerializeToString()


def write(path, sizes=SIZES):
  """Writes a file of records, and returns its path."""
  with tf.io.TFRecordWriter(str(path)) as writer:
    for size in sizes:
      writer.write(example(mask_of(*size)))
  return str(path)


def parameters(records, **settings):
  """The experiment with a small model, and four classes, of which three are."""
  data = {
      f'task.{name}.{setting}': value
      for name in ('train_data', 'validation_data')
      for setting, value in {
          'input_path': records, 'output_size': [32, 32],
          'global_batch_size': 2, 'aug_scale_min': 1.0, 'aug_scale_max': 1.0,
          'aug_rand_hflip': False}.items()}
  settings = data | {
      'task.model.num_classes': 4,
      'task.model.input_size': [32, 32, 3],
      'task.model.head.level': 2,
      f'{FUNNEL_VIT}.model_name': 'vit-nano4',
      f'{FUNNEL_VIT}.layout': 'B1-1',
      f'{FUNNEL_VIT}.feature_maps.levels': [2],
      f'{FUNNEL_VIT}.feature_maps.recovery_layers': 1,
      'task.validation_data.groundtruth_padded_size': [64, 64],
      'task.allow_image_summary': False,
      **dict.fromkeys((f'trainer.{name}' for name in (
          'train_steps', 'steps_per_loop', 'summary_interval',
          'checkpoint_interval', 'validation_interval')), 2),
  } | settings
  return experiment.load('funnel_vit_segmentation', params_override=','.join(
      f'{key}={value!r}' for key, value in settings.items()))


def save(folder, records, **settings):
  """Leaves a model with random weights in a folder, as a training does.

  Returns its parameters and the model.
  """
  params = parameters(records, **settings)
  model = task_factory.get_task(params.task).build_model()
  names = {'class_names': ['none', 'right', 'below', 'other']}
  checkpoint = tf.train.Checkpoint(
      model=model, global_step=tf.Variable(7, dtype=tf.int64),
      **{metadata.CHECKPOINT_ITEM: metadata.CheckpointMetadata(
          metadata.describe(params, names))})
  tf.train.CheckpointManager(
      checkpoint, str(folder), max_to_keep=1, checkpoint_name='ckpt').save(7)
  train_utils.serialize_config(params, str(folder))
  return params, model
