"""Which settings were derived, so that a training's own file can be used again.

A training leaves its whole configuration, with the steps that followed from
epochs and batch. Read again as they are, they would no longer follow: raised
`train_epochs` would change nothing. So the file also says which settings were
derived and from what, and reading takes those back.
"""

from __future__ import annotations

from collections.abc import Mapping
import copy
from typing import Any

from official.core import config_definitions as cfg
from official.modeling import hyperparams

from official_ext.configs import image_classification
from official_ext.params import tree

_KEY = 'derived'
# Scaled once: neither is taken back without the other.
_SCALING = 'trainer.learning_rate_scaling'


def values(params: cfg.ExperimentConfig) -> dict[str, Any]:
  """Returns the value of every setting by its path, those in use alone."""
  return {one.path: copy.deepcopy(one.value) for one in tree.walk(params)
          if one.is_chosen and not isinstance(one.value, hyperparams.Config)}


def mark(params: cfg.ExperimentConfig, given: Mapping[str, Any]) -> None:
  """Enters into `trainer.derived` what is other than it was given.

  Args:
    params: an experiment of ours, its settings derived, not locked.
    given: its `values` before.
  """
  params.trainer.derived = [
      image_classification.DerivedSetting(
          setting=path, given=given[path], value=value)
      for path, value in values(params).items()
      if path in given and value != given[path]]


def take_back(settings: Mapping[str, Any], source: str) -> dict[str, Any]:
  """Returns settings in which what was derived is as it was given.

  What was changed in the file since stays: somebody has set it.

  Args:
    settings: of a params.yaml, nested by name; or of anything else.
    source: where they come from, for the messages.

  Returns:
    A copy, without `trainer.derived`.

  Raises:
    ValueError: if `trainer.derived` is not what `mark` enters.
  """
  result = copy.deepcopy(dict(settings))
  trainer = result.get('trainer')
  if not isinstance(trainer, dict) or _KEY not in trainer:
    return result
  entries = trainer.pop(_KEY)
  fields = {'setting', 'given', 'value'}
  if not isinstance(entries, list) or not all(
      isinstance(entry, dict) and set(entry) == fields and
      isinstance(entry['setting'], str) for entry in entries):
    raise ValueError(
        f'{source}: trainer.derived is {entries!r:.60}, but must be what a '
        'training wrote there. Leave it out, and nothing is derived again.')
  untouched = {entry['setting']: entry['given'] for entry in entries
               if _get(result, entry['setting']) == entry['value']}
  rates = [entry['setting'] for entry in entries
           if entry['setting'].endswith('_learning_rate')]
  if not {_SCALING, *rates} <= set(untouched):
    for path in (_SCALING, *rates):
      untouched.pop(path, None)
  for path, value in untouched.items():
    *names, key = path.split('.')
    _group(result, names)[key] = value
  return result


def _get(settings: Mapping[str, Any], path: str) -> Any:
  *names, key = path.split('.')
  return _group(settings, names).get(key)


def _group(settings: Mapping[str, Any], names: list[str]) -> Any:
  for name in names:
    settings = settings.get(name)
    if not isinstance(settings, Mapping):
      return {}
  return settings
