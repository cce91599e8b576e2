"""The one table of all fields, and the checks that read it."""

from __future__ import annotations

from typing import Any

from official.modeling import hyperparams

from official_ext.params import tree
from official_ext.params.fields import backbones
from official_ext.params.fields import optimization
from official_ext.params.fields import rules
from official_ext.params.fields import segmentation
from official_ext.params.fields import task
from official_ext.params.fields import trainer

# What a field takes, by the class that has it or that it was inherited from.
TABLE: dict[type, dict[str, rules.Rule]] = {
    **task.TABLE, **segmentation.TABLE, **backbones.TABLE,
    **optimization.TABLE, **trainer.TABLE}


def rule_of(owner: type[hyperparams.Config], name: str) -> rules.Rule | None:
  """Returns what a field takes.

  Args:
    owner: class of the group that holds it.
    name: of the field.

  Returns:
    The rule; None of a field that Model Garden has in a version that the table
    does not know.
  """
  for one in owner.__mro__:
    rule = TABLE.get(one, {}).get(name)
    if rule:
      return rule
  if tree.group_of(owner, name) is None:
    return None
  is_optional = type(None) in tree.accepted_types(owner, name)
  return rules.Rule(
      'a group of settings',
      lambda value: isinstance(value, hyperparams.Config),
      null='none' if is_optional else None)


def check(config: hyperparams.Config) -> None:
  """Checks every field of a configuration, and brings its type in order.

  A whole number becomes a float where Model Garden computes with one.

  Args:
    config: the configuration, not locked; changed in place.

  Raises:
    ValueError: of the first field that holds what it does not take.
  """
  for setting in tree.walk(config):
    rule = rule_of(type(setting.owner), setting.name)
    if rule is None:
      continue
    value = setting.value
    problem = rule.problem(value)
    if problem:
      raise ValueError(f'{setting.path} {problem}')
    if value is not None and rule.convert(value) is not value:
      setattr(setting.owner, setting.name, rule.convert(value))


def problem(owner: type[hyperparams.Config], name: str,
            value: Any) -> str | None:
  """Says what is wrong with a value that a person has set.

  Args:
    owner: class of the group that holds the field.
    name: of the field.
    value: what it is set to.

  Returns:
    "is ..., but must be ...", or None if nothing is, as far as that can be
    known of one field alone.
  """
  rule = rule_of(owner, name)
  return rule.problem(value) if rule else None
