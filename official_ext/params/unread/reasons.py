"""Rules of where settings have no effect, each with its reason in words."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import fnmatch

from official.core import config_definitions as cfg
from official.modeling import hyperparams

from official_ext.params import tree

# Says why a setting has no effect in an experiment, and what to do; None: it
# has one.
Reason = Callable[[cfg.ExperimentConfig, tree.Setting], str | None]


@dataclasses.dataclass(frozen=True)
class Rule:
  """Where settings have no effect.

  Attributes:
    settings: their paths; * stands for anything.
    reason: why, in one experiment.
    is_always: whether it is so in all of them, and setting them is a mistake.
  """
  settings: tuple[str, ...]
  reason: Reason
  is_always: bool = False

  def covers(self, path: str) -> bool:
    """Returns whether a setting is one of the rule's."""
    return any(fnmatch.fnmatchcase(path, one) for one in self.settings)


def never(reason: str, *settings: str) -> Rule:
  """Settings that nothing reads here."""
  return Rule(
      settings, lambda params, setting: f'{reason}. Leave it out.',
      is_always=True)


def where(condition: Callable[[cfg.ExperimentConfig], bool], reason: str,
          *settings: str) -> Rule:
  """Settings that nothing reads where a condition holds."""
  return Rule(settings, lambda params, setting: (
      f'{reason}.' if condition(params) else None))


def where_not_zero(condition: Callable[[cfg.ExperimentConfig], bool],
                   reason: str, *settings: str) -> Rule:
  """As `where`, of settings that are left out by 0."""
  return Rule(settings, lambda params, setting: (
      f'{reason}.' if setting.value and condition(params) else None))


def beside(condition: Callable[[hyperparams.Config], bool], reason: str,
           *settings: str) -> Rule:
  """Settings that nothing reads where those beside them are so."""
  return Rule(settings, lambda params, setting: (
      f'{reason}.' if condition(setting.owner) else None))


def everywhere(params: cfg.ExperimentConfig) -> bool:
  """Holds in every experiment, for `where`."""
  del params
  return True
