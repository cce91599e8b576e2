"""Short trainings on the digits, for the tests of what comes after one."""

import pathlib

import tensorflow as tf

from official_ext.params import experiment
from official_ext.training import session

# The crop and the resizing that an export must repeat.
PREPROCESSING = {
    'task.validation_data.aug_crop': True,
    'task.validation_data.tf_resize_method': 'bicubic',
    'task.validation_data.center_crop_fraction': 0.7}


# Small, and yet with a pooling.
LAYOUT = 'B1-1'


def parameters(digits_dir, **settings):
  """Ten steps on the digits."""
  settings = PREPROCESSING | {
      'task.data_dir': digits_dir,
      'task.model.backbone.funnel_vit.layout': LAYOUT,
      'trainer.train_steps': 10,
      'trainer.optimizer_config.warmup.linear.warmup_steps': 1,
      'trainer.logging.training_images': 0,
  } | settings
  return experiment.load(
      'funnel_vit_digits',
      params_override=','.join(
          f'{key}={"null" if value is None else repr(value)}'
          for key, value in settings.items()))


def train(digits_dir, model_dir, mode='train', **settings):
  """Trains; returns the trainer."""
  params = parameters(digits_dir, **settings)
  return session.prepare(params, mode, str(model_dir)).execute(
      enable_async_checkpointing=False)


def held_out_images(digits_dir):
  """The bytes of the validation images."""
  path, = pathlib.Path(digits_dir).glob('validation-*')
  images = []
  for item in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
    feature = tf.train.Example.FromString(item).features.feature
    images.append(feature['image/encoded'].bytes_list.value[0])
  return images
