"""What TensorBoard shows of a training beside what Orbit writes.

The losses of training and evaluation have one name, so that both are in one
chart; how fast it is stands there once, and without compilation. The settings
are there as text, and as hyperparameters by which trainings are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
import fnmatch
from typing import Any

from official.core import config_definitions as cfg
import orbit
from tensorboard.plugins.hparams import summary_v2
import tensorflow as tf
import yaml

from official_ext.params import change_kinds
from official_ext.params import tree
from official_ext.params import without_effect
from official_ext.params.fields import rules
from official_ext.training import event_tags

CONFIGURATION = 'configuration'
# With which Markdown marks text that is shown as it stands.
_INDENTATION = '    '
# Orbit's, with compilation, evaluations and checkpoints in it.
_STEPS_PER_SECOND = 'steps_per_second'
# Harmless in a training that goes on, since it has begun with it.
_OF_THE_BEGINNING = (
    'task.init_checkpoint*', '*.original_init', '*.kernel_initializer')


class SummaryManager(orbit.utils.SummaryManager):
  """Writes what a training or an evaluation returned."""

  def write_summaries(self, summary_dict: Mapping[str, Any]) -> None:
    """Writes values, as Orbit does.

    Args:
      summary_dict: by name.
    """
    super().write_summaries(as_shown(summary_dict))


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
