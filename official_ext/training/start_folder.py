"""The folder of a training, as its start needs it.

Model Garden's exporter of the best checkpoint writes its evaluation before the
checkpoint itself. Where one of the two is lost, so is what the next evaluations
are compared with: the best is then looked for anew.
"""

from __future__ import annotations

import json
import os
from typing import Any

from absl import logging
import tensorflow as tf

from official_ext.checkpoints import choose
from official_ext.checkpoints import tidy
from official_ext.configs import image_classification
from official_ext.params import experiment
from official_ext.training import goodput

# What Model Garden remembers the best evaluation in.
BEST_METRICS = 'info.json'
_BEST_STEP = 'best_ckpt_global_step'
# What is before it names an evaluation's part, in the name of a metric.
_NESTED = '|'
# It stays beside those that are compared now.
_OF_ANOTHER_METRIC = 'of_another_metric-'
# Where Model Garden saves the moving averages of the weights.
_AVERAGES_SUBDIR = 'ema_checkpoints'


def check(config: image_classification.TrainerConfig, model_dir: str) -> None:
  """Refuses a folder in which a training would fail, or harm itself, later.

  Args:
    config: of the trainer.
    model_dir: folder of the training; it may be missing.

  Raises:
    ValueError: if a file lies where a folder belongs or a folder where a file
      does, or the best checkpoint would lie with others, which share a list of
      what may be deleted.
  """
  subdir = config.best_checkpoint_export_subdir
  for name in ('train', config.validation_summary_subdir, subdir,
               _AVERAGES_SUBDIR):
    path = os.path.join(model_dir, name)
    if tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path):
      raise ValueError(
          f'{path} is a file, but a training makes a folder of that name. '
          'Move it away, or choose another --model_dir.')
  for name in (choose.STATE_FILE, experiment.SAVED_FILE,
               goodput.HISTORY_FILE):
    path = os.path.join(model_dir, name)
    if tf.io.gfile.isdir(path):
      raise ValueError(
          f'{path} is a folder, but a training writes a file of that name. '
          'Move it away, or choose another --model_dir.')
  if subdir:
    best = os.path.realpath(os.path.join(model_dir, subdir))
    for other in (model_dir, os.path.join(model_dir, _AVERAGES_SUBDIR)):
      if best == os.path.realpath(other):
        raise ValueError(
            f'trainer.best_checkpoint_export_subdir is {subdir!r}, which is '
            f'the folder {other} of other checkpoints: they would delete each '
            'other. Set it to best, for example.')


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
    if not tf.io.gfile.exists(metrics):
      return
    evaluation = _read(metrics)
    metric = config.best_checkpoint_eval_metric
    aside, why = '', ''
    if not best or evaluation.get(_BEST_STEP) != choose.step(best):
      aside, why = choose.SET_ASIDE, 'is of no whole checkpoint'
    # Model Garden would look it up there.
    elif metric.split(_NESTED)[0] not in evaluation:
      aside, why = _OF_ANOTHER_METRIC, f'has no {metric}'
    if why:
      tf.io.gfile.rename(
          metrics, os.path.join(folder, aside + BEST_METRICS), overwrite=True)
      logging.warning('%s %s: the best one is looked for anew.', metrics, why)


def _read(metrics: str) -> dict[str, Any]:
  """Returns the best evaluation; nothing if it cannot be read."""
  try:
    with tf.io.gfile.GFile(metrics, 'rb') as file:
      found = json.loads(file.read())
  except ValueError:
    return {}
  return found if isinstance(found, dict) else {}
