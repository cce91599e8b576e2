"""Reads overrides and refuses those that would be wrong without a word.

Model Garden's configurations take an unknown key below a setting that is None,
and any value for any key.
"""

from __future__ import annotations

from collections.abc import Mapping
import difflib
from typing import Any

from official.modeling import hyperparams
import tensorflow as tf
import yaml

from official_ext.params import tree

_SCALARS = (int, float, str, bool, type(None))


def read(override: str) -> dict[str, Any]:
  """Reads an override with Model Garden's own reader.

  Args:
    override: 'key=value,...', YAML, or the path of a YAML file.

  Returns:
    The settings, nested by name.

  Raises:
    ValueError: if it cannot be read.
  """
  settings = hyperparams.ParamsDict({})
  if override.endswith(('.yaml', '.yml')):
    content = None
    with tf.io.gfile.GFile(override) as file:
      try:
        # As Model Garden reads it, which writes tuples into its params.yaml.
        content = yaml.load(file, Loader=yaml.FullLoader)
      except yaml.YAMLError as error:
        raise ValueError(f'{override} is not YAML: {error}') from error
    if not isinstance(content, dict):
      raise ValueError(
          f'{override} must hold keys and values, such as "trainer: '
          f'{{train_steps: 10}}", but holds {content!r:.60}.')
  try:
    hyperparams.override_params_dict(settings, override, is_strict=False)
  except Exception as error:
    raise ValueError(
        f'the configuration {override!r} cannot be read: {error}. Give '
        "key=value pairs joined by commas, with quotes around a value that "
        "holds a comma, as in task.model.backbone.funnel_vit.layout='B6(197, "
        "m4096)-6'; or a YAML file.") from error
  found = settings.as_dict()
  for key, value in found.items():
    if value is None:
      raise ValueError(
          f'the configuration {override!r} has nothing under {key!r}. Put '
          'settings there, or leave it out.')
  return found


def check(override: Mapping[str, Any], params: hyperparams.Config,
          source: str, path: str = '') -> None:
  """Checks the keys and the types of an override.

  Args:
    override: settings, nested by name.
    params: the configuration that it is for; it is not changed.
    source: where the override comes from, for the message.
    path: where in the experiment `params` is, with a dot at its end.

  Raises:
    ValueError: if a key does not exist, saying which do, or a value is of the
      wrong type.
  """
  known = tree.names(params)
  for key, value in override.items():
    if key not in known:
      close = difflib.get_close_matches(key, known, n=1)
      hint = f' Did you mean {path}{close[0]}?' if close else ''
      raise ValueError(
          f'{source}: there is no key {path}{key}.{hint} Keys of '
          f'{path.rstrip(".") or "an experiment"}: {", ".join(sorted(known))}.')
    if not isinstance(value, Mapping):
      _check_type(value, type(params), key, f'{source}: {path}{key}')
      continue
    below = getattr(params, key)
    if not isinstance(below, hyperparams.Config):
      # Unset: an untyped Config would take any key without a word.
      config_class = tree.group_of(type(params), key)
      if config_class is None:
        continue
      below = config_class()
    if vars(below).keys() - set(below.RESERVED_ATTR):
      check(value, below, source, f'{path}{key}.')


def _check_type(value: Any, owner: type, key: str, where: str) -> None:
  """Raises ValueError on a value that a field cannot take.

  Model Garden takes anything, and `seed=None` would be the text 'None'.
  """
  choices = tree.accepted_types(owner, key)
  if not all(choice in _SCALARS or tree.is_group(choice) for choice in choices):
    return  # Sequences, and what has no annotation.
  accepted = [choice for choice in choices if choice in _SCALARS]
  if float in accepted:
    accepted.append(int)
  # None also where the annotation forgets it, as Model Garden's often do.
  if value is not None and type(value) not in accepted:
    names = [choice.__name__ for choice in accepted
             if choice is not type(None)] or ['a group of settings']
    raise ValueError(
        f'{where} is {value!r}, but must be {" or ".join(names)}, or null for '
        'none.')
