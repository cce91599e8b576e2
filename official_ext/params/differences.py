"""Which settings differ between experiments."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
from typing import Any

from official.core import config_definitions as cfg
from official.modeling import hyperparams

from official_ext.params import tree
from official_ext.params import without_effect
from official_ext.params.fields import rules


@dataclasses.dataclass(frozen=True)
class Difference:
  """A setting that is not the same in all experiments.

  Attributes:
    setting: its path, such as 'trainer.train_steps'.
    values: as a person types them, one per experiment; None where it does not
      read the setting.
  """
  setting: str
  values: tuple[str | None, ...]


def find(experiments: Sequence[cfg.ExperimentConfig]) -> list[Difference]:
  """Compares experiments, setting by setting, as they were given.

  What follows from other settings is not named, since those are; nor is what
  no experiment reads.

  Args:
    experiments: at least one, every value derived.

  Returns:
    The settings that differ, in the order of the first experiment.
  """
  known = [_settings(params) for params in experiments]
  paths = dict.fromkeys(path for settings in known for path in settings)
  found = []
  for path in paths:
    settings = [one.get(path) for one in known]
    texts = [one and one.text for one in settings]
    if len(set(texts)) > 1 and any(one and one.is_read for one in settings):
      found.append(Difference(path, tuple(
          one.text if one and one.is_read else None for one in settings)))
  return found


@dataclasses.dataclass(frozen=True)
class _Setting:
  """A value as a person types it, and whether the experiment reads it."""
  text: str
  is_read: bool


def _settings(params: cfg.ExperimentConfig) -> dict[str, _Setting]:
  """Returns all settings of an experiment, also those that are not chosen."""
  given = {one.setting: one.given for one in params.trainer.derived}
  return {
      one.path: _Setting(
          _show(given.get(one.path, one.value)),
          one.is_chosen and not without_effect.reason(params, one))
      for one in tree.walk(params) if one.path != 'trainer.derived'}


def _show(value: Any) -> str:
  """Returns a value as a person types it, of a group only that it is there."""
  if isinstance(value, hyperparams.Config):
    return 'set'
  return rules.show(list(value) if isinstance(value, tuple) else value)
