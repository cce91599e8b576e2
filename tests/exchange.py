"""Writes or reads checkpoints, on whichever line of TensorFlow runs it.

  python tests/exchange.py write|read FOLDER LAYOUT ...

`write` leaves for each layout a checkpoint, images and their logits; `read`
loads it into another model, every variable matched, and leaves `read.npy` with
its logits.
"""

import os
import pathlib
import sys

# Before TensorFlow, for one Keras on 2.15.
import official_ext  # noqa: F401

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

# pylint: disable=g-import-not-at-top
import models
import numpy as np
from official.core import task_factory
import tensorflow as tf

from official_ext import registry_imports  # noqa: F401
from official_ext.checkpoints import metadata
from official_ext.params import experiment

# pylint: enable=g-import-not-at-top


def build(layout):
  """A classifier with its optimizer, as the trainer saves them."""
  params = experiment.load('funnel_vit_digits', params_override=(
      f"task.model.backbone.funnel_vit.layout='{layout}'"))
  task = task_factory.get_task(params.task)
  model = task.build_model()
  optimizer = task.create_optimizer(params.trainer.optimizer_config)
  optimizer._create_all_weights(model.trainable_variables)
  checkpoint = tf.train.Checkpoint(
      model=model, optimizer=optimizer, global_step=optimizer.iterations,
      **model.checkpoint_items,
      metadata=metadata.CheckpointMetadata(metadata.describe(params)))
  return model, optimizer, checkpoint


def write(folder, layout):
  model, optimizer, checkpoint = build(layout)
  models.randomize(model, seed=1)
  optimizer.iterations.assign(7)
  for index, variable in enumerate(model.trainable_variables):
    optimizer.get_slot(variable, 'm').assign(
        tf.fill(variable.shape, float(index)))
  images = models.random_images(4)
  np.save(folder / 'images.npy', images)
  np.save(folder / 'written.npy', model(images))
  checkpoint.write(str(folder / 'checkpoint'))


def read(folder, layout):
  model, optimizer, checkpoint = build(layout)
  models.randomize(model, seed=2)
  status = checkpoint.read(str(folder / 'checkpoint'))
  status.assert_existing_objects_matched()
  status.assert_consumed()
  assert optimizer.iterations.numpy() == 7
  for index, variable in enumerate(model.trainable_variables):
    np.testing.assert_array_equal(
        optimizer.get_slot(variable, 'm'), float(index))
  np.save(folder / 'read.npy', model(np.load(folder / 'images.npy')))


def main(what, folder, *layouts):
  for layout in layouts:
    path = pathlib.Path(folder, layout)
    path.mkdir(exist_ok=True)
    {'write': write, 'read': read}[what](path, layout)


if __name__ == '__main__':
  main(*sys.argv[1:])
