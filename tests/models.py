"""Builders of small models for tests."""

import numpy as np
from official.vision.modeling.backbones import factory
import tensorflow as tf
import tf_keras

from official_ext.configs import backbones


def build_backbone(image_size=(16, 16), **settings):
  """A `funnel_vit` through Model Garden's factory, vit-nano4 by default."""
  settings.setdefault('model_name', 'vit-nano4')
  return factory.build_backbone(
      input_specs=tf_keras.layers.InputSpec(shape=[None, *image_size, 3]),
      backbone_config=backbones.Backbone(
          type='funnel_vit', funnel_vit=backbones.FunnelViT(**settings)),
      norm_activation_config=None)


def mirrored(num_replicas):
  """A strategy over logical CPU devices.

  Without collectives: TensorFlow keeps their shapes by number for the life of
  the process, and a second strategy begins again with the same numbers.
  """
  return tf.distribute.MirroredStrategy(
      [f'CPU:{index}' for index in range(num_replicas)],
      cross_device_ops=tf.distribute.ReductionToOneDevice())


def randomize(model, seed=0):
  """Gives every variable random values, biases and LayerNorms included."""
  generator = np.random.default_rng(seed)
  for variable in model.variables:
    scale = 1 / np.sqrt(max(1, np.prod(variable.shape[:-1])))
    variable.assign(
        generator.normal(0, max(scale, 0.1), variable.shape)
        + (1 if 'gamma' in variable.name else 0))


def random_images(batch_size, image_size=(16, 16), seed=0):
  generator = np.random.default_rng(seed)
  return tf.constant(
      generator.normal(size=(batch_size, *image_size, 3)), tf.float32)
