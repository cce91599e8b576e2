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
from official_ext.params.fields import table


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
  """Checks the keys of an override, and each value on its own.

  Args:
    override: settings, nested by name.
    params: the configuration that it is for; it is not changed.
    source: where the override comes from, for the message.
    path: where in the experiment `params` is, with a dot at its end.

  Raises:
    ValueError: if a key does not exist, saying which do, or a value is
      none that its field takes.
  """
  known = tree.names(params)
  for key, value in override.items():
    if key not in known:
      close = difflib.get_close_matches(str(key), known, n=1)
      hint = f' Did you mean {path}{close[0]}?' if close else ''
      raise ValueError(
          f'{source}: there is no key {path}{key}.{hint} Keys of '
          f'{path.rstrip(".") or "an experiment"}: {", ".join(sorted(known))}.')
    group = tree.group_of(type(params), key)
    if group and isinstance(value, Mapping):
      below = getattr(params, key)
      if not isinstance(below, hyperparams.Config):
        # Unset: an untyped Config would take any key without a word.
        below = group()
      if tree.names(below):
        check(value, below, source, f'{path}{key}.')
        continue
    problem = table.problem(type(params), key, value)
    if problem:
      raise ValueError(f'{source}: {path}{key} {problem}')
