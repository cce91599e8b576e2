"""Writes or reads a checkpoint, on whichever line of TensorFlow runs it.

  python tests/exchange.py write|read FOLDER LAYOUT

`write` leaves a checkpoint, images and their logits; `read` loads it into
another model, every variable matched, and leaves `read.npy` with its logits.
"""

import os
import pathlib
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import models  # noqa: E402
import numpy as np  # noqa: E402
from official.core import task_factory  # noqa: E402
import tensorflow as tf  # noqa: E402

from official_ext import registry_imports  # noqa: E402, F401
from official_ext.checkpoints import metadata  # noqa: E402
from official_ext.configs import experiment  # noqa: E402


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


if __name__ == '__main__':
  {'write': write, 'read': read}[sys.argv[1]](
      pathlib.Path(sys.argv[2]), sys.argv[3])
