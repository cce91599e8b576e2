"""Small classifiers with random weights, and checkpoints of them."""

import models
from official.core import task_factory
import tensorflow as tf
import tf_keras

from official_ext import registry_imports  # noqa: F401
from official_ext.checkpoints import metadata
from official_ext.checkpoints import sources
from official_ext.checkpoints import variable_names
from official_ext.modeling import classifier
from official_ext.params import experiment

SETTING = 'task.model.backbone.funnel_vit'


def load_params(layout='B1-1', size=16, num_classes=10, **settings):
  settings = {'model_name': 'vit-nano4', **settings}
  overrides = [f'{SETTING}.{key}={value!r}' for key, value in settings.items()]
  return experiment.load('funnel_vit_digits', params_override=','.join([
      f"{SETTING}.layout='{layout}'",
      f'task.model.input_size=[{size},{size},3]',
      f'task.model.num_classes={num_classes}', *overrides]))


def build(seed, **settings):
  """A classifier with random weights, and its configuration."""
  params = load_params(**settings)
  model = task_factory.get_task(params.task).build_model()
  models.randomize(model, seed)
  return model, params


def build_dense(maps, seed=1, **settings):
  """A classifier whose backbone has feature maps, as another task would."""
  _, params = build(seed, **settings)
  model = classifier.build(params.task.model.replace(
      backbone={'funnel_vit': {'feature_maps': maps}}))
  model.build([None, *params.task.model.input_size])
  models.randomize(model, seed)
  return model


def arrays(model):
  """The variables of a classifier by name."""
  names = variable_names.of_model(model)
  return {names[id(variable)]: variable.numpy()
          for variable in model.variables}


def save(folder, model, params=None):
  """Saves a model as our trainer does; without `params`, as Model Garden's."""
  items = {}
  if params is not None:
    items[metadata.CHECKPOINT_ITEM] = metadata.CheckpointMetadata(
        metadata.describe(params))
  optimizer = tf_keras.optimizers.SGD(0.1, momentum=0.9)
  optimizer.build(model.trainable_variables)
  checkpoint = tf.train.Checkpoint(
      model=model, optimizer=optimizer, global_step=tf.Variable(3),
      backbone=model.backbone, **items)
  return tf.train.CheckpointManager(
      checkpoint, str(folder), max_to_keep=1).save()


class Arrays(sources.Source):
  """A source that is no checkpoint."""

  def __init__(self, arrays, description=None):
    self.path = 'memory'
    self.description = description or {}
    self.arrays = arrays
    self.num_read = 0

  @property
  def shapes(self):
    return {name: value.shape for name, value in self.arrays.items()}

  def read(self, name):
    self.num_read += 1
    return self.arrays[name]
