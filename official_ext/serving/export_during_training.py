"""Exports what a training makes: each new best model, and the last one."""

from __future__ import annotations

import json
import os
import threading

from absl import logging
from official.core import config_definitions as cfg
import tensorflow as tf

from official_ext.checkpoints import choose
from official_ext.checkpoints import integrity
from official_ext.checkpoints import preprocessing
from official_ext.serving.formats import description
from official_ext.serving.formats import names
from official_ext.serving.formats import versions
from official_ext.serving.formats import write
from official_ext.trained import trained_model

_END_DIR = 'last'
_BEST_DIR = 'best'
_DEFAULT_DIR = 'export'


def find_newest(params: cfg.ExperimentConfig, model_dir: str) -> str | None:
  """Finds the export that a training has of its newest checkpoint.

  Args:
    params: the experiment's configuration.
    model_dir: folder of the training.

  Returns:
    The folder of a SavedModel with just the weights and the preprocessing that
    a new one would have by default; None if there is none.
  """
  newest = choose.newest(model_dir)
  fingerprint = newest and integrity.fingerprint(newest)
  if not fingerprint:
    return None
  base = _base(params, model_dir)
  for folder in (os.path.join(base, _END_DIR), os.path.join(base, _BEST_DIR),
                 base):
    for number in versions.numbers(folder):
      path = os.path.join(folder, str(number))
      if _is_same(path, fingerprint, params):
        return path
  return None


def _is_same(path: str, fingerprint: str, params: cfg.ExperimentConfig) -> bool:
  """Returns whether an export is what a new one of a checkpoint would be."""
  try:
    described = description.read(path)
  except ValueError:
    return False  # Not of this project, or damaged.
  source = described['source']
  expected = {'image_size': list(params.task.model.input_size[:2]),
              **preprocessing.describe(params.task)}
  # As JSON has them. An export of an earlier version has no fingerprint.
  return (source.get('fingerprint') == fingerprint and
          source['ema'] == (params.trainer.optimizer_config.ema is not None) and
          all(described['preprocessing'].get(name) == value
              for name, value in json.loads(json.dumps(expected)).items()))


def _base(params: cfg.ExperimentConfig, model_dir: str) -> str:
  """Returns the folder below which a training exports."""
  return params.trainer.export.export_dir or os.path.join(
      model_dir, _DEFAULT_DIR)


class TrainingExport:
  """Exports the model of a training, as its configuration says."""

  def __init__(self, params: cfg.ExperimentConfig, model_dir: str):
    """Initialises the export.

    Args:
      params: the experiment's configuration.
      model_dir: folder of the training.
    """
    self._config = params.trainer.export
    self._train_steps = params.trainer.train_steps
    self._model_dir = model_dir
    self._best_dir = os.path.join(
        model_dir, params.trainer.best_checkpoint_export_subdir)
    # The best checkpoint that this start has exported, or failed to.
    self._tried: str | None = None
    self._base = _base(params, model_dir)

  def at_best(self) -> None:
    """Exports the best checkpoint, if configured and not done yet.

    An earlier start may have been killed between the two. A failure is a
    warning: the training is worth more, and the checkpoint can be exported at
    any time; it is tried once in a start.
    """
    if not self._config.at_best:
      return
    # The strategy's scope, in which this is called, belongs to the thread: the
    # exported model must have plain variables, on one worker alone.
    thread = threading.Thread(target=self._export_best)
    thread.start()
    thread.join()

  def at_end(self, step: int, has_trained: bool,
             is_stopped_early: bool = False) -> str | None:
    """Exports the newest checkpoint, if configured and the training is done.

    A run that finds its training done exports only what an earlier one failed
    to.

    Args:
      step: of the training.
      has_trained: whether this run brought it there.
      is_stopped_early: whether it is done before its last step.

    Returns:
      The folder of the version; None if nothing is exported.

    Raises:
      ValueError: if the checkpoint cannot be exported.
      OSError, tf.errors.OpError: if the folder cannot be written.
    """
    is_done = is_stopped_early or step >= self._train_steps
    if not self._config.at_end or not is_done:
      return None
    if not has_trained and self._is_exported(
        _END_DIR, integrity.fingerprint(choose.newest(self._model_dir))):
      return None
    return self._export(_END_DIR, trained_model.LATEST)

  def exported_best(self) -> str | None:
    """Returns where the best checkpoint is exported to; None: it is not."""
    if not self._config.at_best or not self._is_exported(
        _BEST_DIR, integrity.fingerprint(choose.newest(self._best_dir))):
      return None
    return os.path.join(self._base, _BEST_DIR)

  def _is_exported(self, subdir: str, fingerprint: str | None) -> bool:
    """Returns whether the newest export is of this checkpoint."""
    newest = description.read_newest(os.path.join(self._base, subdir))
    # An export of an earlier version has none, and is made anew.
    exported = newest and newest['source'].get('fingerprint')
    return bool(exported) and exported == fingerprint

  def _export_best(self) -> None:
    try:
      best = integrity.fingerprint(choose.newest(self._best_dir))
      if best == self._tried or self._is_exported(_BEST_DIR, best):
        return
      self._tried = best
      path = self._export(_BEST_DIR, trained_model.BEST)
    except (ValueError, OSError, tf.errors.OpError) as error:
      logging.warning(
          'The best checkpoint was not exported: %s It is kept; export it with '
          'python -m official_ext.serving.export '
          '--checkpoint=best.', error)
    else:
      logging.info('exported the best checkpoint to %s', path)

  def _export(self, subdir: str, checkpoint: str) -> str:
    export_dir = os.path.join(self._base, subdir)
    write.prepare(names.SAVED_MODEL, export_dir)
    trained = trained_model.find(
        self._model_dir, trained_model.Selection(checkpoint=checkpoint),
        may_segment=True)
    return write.export(trained, names.SAVED_MODEL, export_dir)
