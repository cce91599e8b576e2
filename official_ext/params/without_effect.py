"""Settings that change nothing, told by name.

Model Garden's configurations have fields for every task and machine, and many
are read only together with others. A setting that somebody has set, other than
the experiment has it, and that this run does not read is refused where no run
reads it, and warned of where another configuration would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from absl import logging
from official.core import config_definitions as cfg
from official.modeling import hyperparams

from official_ext.params import segmentation
from official_ext.params import tree
from official_ext.params.fields import rules
from official_ext.params.unread import data
from official_ext.params.unread import optimization
from official_ext.params.unread import reasons
from official_ext.params.unread import segmentation as unread_segmentation
from official_ext.params.unread import task
from official_ext.params.unread import trainer

# Whatever the task.
_COMMON = (*optimization.TABLE, *trainer.TABLE)
TABLE: tuple[reasons.Rule, ...] = (*data.TABLE, *task.TABLE, *_COMMON)
OF_SEGMENTATION: tuple[reasons.Rule, ...] = (
    *unread_segmentation.TABLE, *task.BACKBONE, *_COMMON)


def reason(params: cfg.ExperimentConfig, setting: tree.Setting) -> str | None:
  """Returns why the table says that a setting has no effect; None: it has."""
  rule = _rule(params, setting)
  return rule.reason(params, setting) if rule else None


def check(params: cfg.ExperimentConfig, default: cfg.ExperimentConfig) -> None:
  """Refuses settings that no run reads, and warns of those that this does not.

  Args:
    params: an experiment of ours, resolved.
    default: the experiment as it is registered; what is as in it was set by
      nobody.

  Raises:
    ValueError: naming the setting, why it has no effect and what to do.
  """
  # Of what was derived nevertheless, a person knows the value that was set.
  given = {one.setting: one.given for one in params.trainer.derived}
  for setting, why, is_always in find(params, default):
    value = ('set' if isinstance(setting.value, hyperparams.Config) else
             rules.show(given.get(setting.path, setting.value)))
    text = f'{setting.path} is {value}, but has no effect: {why}'
    if is_always:
      raise ValueError(text)
    logging.warning('%s', text)


def find(params: cfg.ExperimentConfig, default: cfg.ExperimentConfig
         ) -> Iterator[tuple[tree.Setting, str, bool]]:
  """Finds what was set without effect.

  Args:
    params: as in `check`.
    default: as in `check`.

  Yields:
    The setting, the reason, and whether it is so in every experiment.
  """
  before = {one.path: _comparable(one.value)
            for one in tree.walk(default, opens_unset=True)}
  # A group that is None there, but not one inside another such.
  unset = {one.path for one in tree.walk(default, opens_unset=True)
           if one.group and one.is_set and one.value is None}
  given = {one.setting: one.given for one in params.trainer.derived}
  for setting in tree.walk(params):
    value = setting.value
    if setting.path == 'trainer.derived':
      continue
    if isinstance(value, hyperparams.Config):
      if setting.path in unset:
        yield from _of_a_new_group(params, setting, before)
      continue
    is_set = _comparable(given.get(setting.path, value)) != before.get(
        setting.path)
    if not is_set:
      continue
    if not setting.is_chosen:
      yield setting, _not_chosen(params, setting.path), False
      continue
    rule = _rule(params, setting)
    if rule:
      yield setting, rule.reason(params, setting), rule.is_always


def _of_a_new_group(params: cfg.ExperimentConfig, group: tree.Setting,
                    before: Mapping[str, Any]
                    ) -> Iterator[tuple[tree.Setting, str, bool]]:
  """Yields a group that was set as it is by default, if nothing reads it.

  Of what somebody has set in it, each is told on its own.
  """
  inside = [one for one in tree.walk(group.value, path=f'{group.path}.')
            if not isinstance(one.value, hyperparams.Config) and one.is_chosen]
  found = [_rule(params, one) for one in inside]
  if not group.is_chosen or not all(found) or any(
      _comparable(one.value) != before.get(one.path) for one in inside):
    return
  yield group, found[0].reason(params, inside[0]), all(
      rule.is_always for rule in found)


def _rule(params: cfg.ExperimentConfig,
          setting: tree.Setting) -> reasons.Rule | None:
  table = OF_SEGMENTATION if segmentation.is_of(params) else TABLE
  return next((rule for rule in table if rule.covers(setting.path) and
               rule.reason(params, setting)), None)


def _comparable(value: Any) -> Any:
  return list(value) if isinstance(value, tuple) else value


def _not_chosen(params: cfg.ExperimentConfig, path: str) -> str:
  """Says which one-of on the way to a setting has chosen another way."""
  group: Any = params
  one_of, name = '', path
  while not isinstance(group, hyperparams.OneOfConfig) or (
      name.partition('.')[0] == group.type):
    first, _, name = name.partition('.')
    group = getattr(group, first)
    one_of += f'.{first}' if one_of else first
  return (f'{one_of}.type is {rules.show(group.type)}. Set it to '
          f'{name.partition(".")[0]}, or leave this out.')
