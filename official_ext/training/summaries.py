"""What TensorBoard shows of a training beside what Orbit writes.

The losses of training and evaluation have one name, so that both are in one
chart; how fast it is stands there once, and without compilation. The settings
are there as text, and as hyperparameters by which trainings are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import fnmatch
import io
import os
from typing import Any

import numpy as np
from official.core import config_definitions as cfg
import orbit
from PIL import Image
from scipy import sparse
from tensorboard.plugins.hparams import summary_v2
import tensorflow as tf
import yaml

from official_ext import figures
from official_ext.evaluation import confusion
from official_ext.evaluation import confusion_figure
from official_ext.params import change_kinds
from official_ext.params import tree
from official_ext.params import without_effect
from official_ext.params.fields import rules
from official_ext.training import event_tags
from official_ext.training import tracking

CONFIGURATION = 'configuration'
CONFUSION_MATRIX = 'confusion_matrix'
# With which Markdown marks text that is shown as it stands.
_INDENTATION = '    '
# Orbit's, with compilation, evaluations and checkpoints in it.
_STEPS_PER_SECOND = 'steps_per_second'
# Harmless in a training that goes on, since it has begun with it.
_OF_THE_BEGINNING = (
    'task.init_checkpoint*', '*.original_init', '*.kernel_initializer')


class SummaryManager(orbit.utils.SummaryManager):
  """Writes what a training or an evaluation returned.

  Attributes:
    step: at which the training is.
  """

  def __init__(self, summary_dir: str | None,
               summary_fn: Callable[..., None] = tf.summary.scalar,
               global_step: tf.Variable | None = None,
               tracked: tracking.Tracking | None = None):
    """Initialises it.

    Args:
      summary_dir: folder of the files; None: nothing is written.
      summary_fn: of Orbit's.
      global_step: at which the training is.
      tracked: the services that get the same; None: there is none.
    """
    super().__init__(summary_dir, summary_fn, global_step)
    self._tracked = tracked if summary_dir else None
    self._name = os.path.basename(os.path.normpath(summary_dir or ''))

  @property
  def step(self) -> int:
    return int(self._global_step.numpy())

  def write_summaries(self, summary_dict: Mapping[str, Any]) -> None:
    """Writes values, as Orbit does.

    Args:
      summary_dict: by name.
    """
    shown = as_shown(summary_dict)
    super().write_summaries(shown)
    if self._tracked:
      self._tracked.scalars(self._name, shown, self.step)

  def write_image(self, name: str, image: Image.Image) -> None:
    """Writes a picture.

    Args:
      name: its tag.
      image: in RGB.
    """
    # Inside a loop, Orbit records at its interval alone.
    with self.summary_writer().as_default(
        self.step), tf.summary.record_if(True):
      tf.summary.image(name, np.asarray(image.convert('RGB'))[np.newaxis])
    self.flush()
    if self._tracked:
      self._tracked.image(self._name, name, image, self.step)


  def close(self) -> None:
    """Closes its files; nothing can be written after that."""
    for writer in self._summary_writers.values():
      writer.close()


def as_shown(values: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the values that TensorBoard shows.

  Args:
    values: what a training or an evaluation returned, with Orbit's additions.

  Returns:
    The same by their names, the loss under `event_tags.LOSS` too, without
    Orbit's steps per second: `event_tags.STEPS_PER_SECOND` is what training
    takes.
  """
  shown = {name: value for name, value in values.items()
           if name != _STEPS_PER_SECOND}
  for name in (event_tags.TRAIN_LOSS, event_tags.VALIDATION_LOSS):
    if name in values:
      shown[event_tags.LOSS] = values[name]
  return shown


def write_configuration(params: cfg.ExperimentConfig,
                        summaries: orbit.utils.SummaryManager,
                        step: int) -> None:
  """Writes the settings of a training.

  Args:
    params: the experiment's configuration, resolved.
    summaries: where to.
    step: at which the training begins or goes on.
  """
  text = yaml.safe_dump(params.as_dict(), sort_keys=False)
  hyperparameters = summary_v2.hparams_pb(hyperparameters_of(params))
  with summaries.summary_writer().as_default(step):
    tf.summary.text(CONFIGURATION, ''.join(
        f'{_INDENTATION}{line}\n' for line in text.splitlines()))
    tf.summary.experimental.write_raw_pb(hyperparameters.SerializeToString())


def write_confusion(counts: np.ndarray, class_names: Sequence[str] | None,
                    log: SummaryManager) -> None:
  """Writes the confusion matrix of an evaluation, of many classes in groups.

  Args:
    counts: by label and prediction, [classes, classes].
    class_names: a name for each class; None: they are numbered.
    log: where to.
  """
  names = class_names or [f'class {one}' for one in range(len(counts))]
  drawn = figures.png(confusion_figure.draw(
      confusion.grouped(sparse.csr_array(counts.astype(np.int64))), names))
  log.write_image(CONFUSION_MATRIX, Image.open(io.BytesIO(drawn)))


def hyperparameters_of(params: cfg.ExperimentConfig
                       ) -> dict[str, bool | int | float | str]:
  """Returns the settings that another result may follow from.

  Args:
    params: the experiment's configuration, resolved.

  Returns:
    By their paths, those that are set and read, but for what changes nothing,
    such as paths and intervals.
  """
  return {
      one.path: one.value if isinstance(one.value, (bool, int, float, str))
                else rules.show(list(one.value))
      for one in tree.walk(params)
      if one.is_chosen and one.is_set and not one.group and
      isinstance(one.value, (bool, int, float, str, list, tuple)) and
      one.path != 'trainer.derived' and _changes_results(one.path) and
      not without_effect.reason(params, one)}


def _changes_results(path: str) -> bool:
  return (change_kinds.of_setting(path) != change_kinds.Kind.HARMLESS or
          any(fnmatch.fnmatchcase(path, one) for one in _OF_THE_BEGINNING))


def as_floats(values: Mapping[str, Any]) -> dict[str, float]:
  """Returns tensors, metrics' results and numbers as Python's, by name."""
  return {name: as_float(value) for name, value in values.items()}


def as_float(value: Any) -> float:
  """Returns one of them."""
  # A constant learning rate is a variable, of which a strategy holds copies:
  # only as a tensor it is one number.
  return float(tf.convert_to_tensor(value))
