"""What a start writes before its first step, and takes back if it has none.

Whoever looks into a folder finds trainings there, not attempts at one. Only
what a start is known to write is taken back, and only what was not there before
it: a folder may hold what a person, or another program, has put there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import os

import tensorflow as tf

from official_ext.configs import image_classification
from official_ext.configs import outputs
from official_ext.params import experiment
from official_ext.tasks import class_names
from official_ext.tasks import corrupt_records
from official_ext.tasks import record_counts
from official_ext.training import goodput
from official_ext.training import settings_history
from official_ext.training import trackers
from official_ext.training import weights_and_biases


@contextlib.contextmanager
def taken_back(model_dir: str, config: image_classification.TrainerConfig,
               has_stepped: Callable[[], bool]) -> Iterator[None]:
  """Removes what its block wrote, where it raises before the first step.

  Args:
    model_dir: folder of the training, to which nothing else may write.
    config: of the trainer.
    has_stepped: says whether a step was taken; from then on all stays.

  Yields:
    Nothing.
  """
  new = [path for path in _paths(model_dir, config)
         if not tf.io.gfile.exists(path)]
  try:
    yield
  except BaseException:
    if not has_stepped():
      for path in new:
        # What cannot be removed must not hide why the start was refused.
        with contextlib.suppress(OSError, tf.errors.OpError):
          _remove(path)
    raise


def _paths(model_dir: str,
           config: image_classification.TrainerConfig) -> list[str]:
  folders = [folder.split('/')[0] for folder in (
      config.validation_summary_subdir, config.best_checkpoint_export_subdir)]
  return [os.path.join(model_dir, name) for name in (
      class_names.FILE, corrupt_records.FILE, record_counts.FILE,
      experiment.SAVED_FILE, settings_history.FOLDER, goodput.HISTORY_FILE,
      'train', *filter(None, folders), *_of_services(config.logging))]


def _of_services(config: outputs.LoggingConfig) -> list[str]:
  """Returns what a start that goes on may write before its first step."""
  names = [trackers.RUNS_FILE] if config.wandb or config.mlflow else []
  return names + ([weights_and_biases.FOLDER] if config.wandb else [])


def _remove(path: str) -> None:
  if tf.io.gfile.isdir(path):
    tf.io.gfile.rmtree(path)
  elif tf.io.gfile.exists(path):
    tf.io.gfile.remove(path)
