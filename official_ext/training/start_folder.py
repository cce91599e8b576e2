"""The folder of a training, as its start needs it.

Model Garden's exporter of the best checkpoint writes its evaluation before the
checkpoint itself. Where one of the two is lost, so is what the next evaluations
are compared with: the best is then looked for anew.
"""

from __future__ import annotations

import json
import os

from absl import logging
import tensorflow as tf

from official_ext.checkpoints import choose
from official_ext.checkpoints import tidy
from official_ext.configs import image_classification

# What Model Garden remembers the best evaluation in.
BEST_METRICS = 'info.json'
_BEST_STEP = 'best_ckpt_global_step'
# Where Model Garden saves the moving averages of the weights.
_AVERAGES_SUBDIR = 'ema_checkpoints'


def prepare(config: image_classification.TrainerConfig,
            model_dir: str) -> None:
  """Puts the folders of checkpoints in order, to which nothing else may write.

  Args:
    config: of the trainer.
    model_dir: folder of the training.

  Raises:
    errors.UserError: if there are checkpoints to go on from, but none is whole.
    OSError, tf.errors.OpError: if a folder cannot be written.
  """
  tidy.tidy(model_dir, keep_every_hours=config.keep_checkpoint_every_n_hours)
  tidy.tidy(os.path.join(model_dir, _AVERAGES_SUBDIR), is_needed=False)
  if config.best_checkpoint_export_subdir:
    folder = os.path.join(model_dir, config.best_checkpoint_export_subdir)
    best = tidy.tidy(folder, is_needed=False)
    metrics = os.path.join(folder, BEST_METRICS)
    if tf.io.gfile.exists(metrics) and not (
        best and _step(metrics) == choose.step(best)):
      tf.io.gfile.rename(
          metrics, os.path.join(folder, choose.SET_ASIDE + BEST_METRICS),
          overwrite=True)
      logging.warning(
          '%s is of no whole checkpoint: the best one is looked for anew.',
          metrics)


def _step(metrics: str) -> int | None:
  """Returns the step of the best evaluation; None if it cannot be read."""
  try:
    with tf.io.gfile.GFile(metrics, 'rb') as file:
      return int(json.loads(file.read())[_BEST_STEP])
  except (ValueError, KeyError, TypeError):
    return None
