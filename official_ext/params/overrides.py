"""Reads overrides and refuses those that would be wrong without a word.

Model Garden's configurations take an unknown key below a setting that is None,
and any value for any key.
"""

from __future__ import annotations

from collections.abc import Mapping
import difflib
import re
from typing import Any

from official.modeling import hyperparams
from official.modeling.hyperparams import params_dict
import tensorflow as tf
import yaml

from official_ext.command_line import errors
from official_ext.params import tree
from official_ext.params import yaml_settings
from official_ext.params.fields import table

# The beginning of settings, of which the end may look like that of a file.
_SETTING = re.compile(r'\s*\{?\s*[\w.]+\s*(=|:\s)')
# key=value up to the next key or the end.
_PAIRS = re.compile(r'([\w.]+)\s*=\s*(.*?)\s*(?=,\s*[\w.]+\s*=|$)', re.DOTALL)
# What means something else to YAML, or to a list of pairs.
_SPECIAL = ', [ ] { } # % : & * ! | > @ `'
_NEEDS_QUOTES = re.compile(f'[{re.escape(_SPECIAL.replace(" ", ""))}]')
# YAML takes it for the name of what follows, and nothing need follow.
_ANCHOR = re.compile('^&')
# Model Garden makes a list of the one entry, however many come before it.
_ENTRY = re.compile(r'(?:^|,)\s*([\w.]+\[\d*\])\s*=')


def read_file(path: str) -> dict[str, Any]:
  """Reads the settings of a YAML file.

  Args:
    path: the file.

  Returns:
    The settings, nested by name; see `yaml_settings.load`.

  Raises:
    ValueError: if it cannot be read.
  """
  try:
    with tf.io.gfile.GFile(path) as file:
      found = yaml_settings.load(file.read(), path)
  except tf.errors.NotFoundError as error:
    raise ValueError(f'there is no file {path}.') from error
  except tf.errors.OpError as error:
    raise ValueError(
        f'{path} cannot be read: {errors.reason(error)}.') from error
  except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
    raise ValueError(f'{path} is not YAML: {_reason(error)}.') from error
  if not isinstance(found, dict):
    raise ValueError(
        f'{path} must hold keys and values, such as "trainer: '
        f'{{train_steps: 10}}", but holds {found!r:.60}.')
  return _without_nothing(found, path)


def read(override: str, source: str = '--params_override') -> dict[str, Any]:
  """Reads an override.

  Args:
    override: 'key=value,...', YAML, or the path of a YAML file. What begins
      like settings is settings, unless there is such a file.
    source: where it comes from, for the messages.

  Returns:
    The settings, nested by name; see `yaml_settings.load`.

  Raises:
    ValueError: if it cannot be read.
  """
  if override.endswith(('.yaml', '.yml')) and (
      not _SETTING.match(override) or tf.io.gfile.exists(override)):
    return read_file(override)
  entry = _ENTRY.search(override)
  if entry:
    raise ValueError(
        f'the configuration {override!r:.200} sets {entry[1]}, an entry of a '
        'list. Set the whole list, as in task.model.input_size=[224,224,3].')
  try:
    text = params_dict.nested_csv_str_to_json_str(override)
  except (ValueError, RecursionError):
    text = override
  else:
    _refuse_unquoted(override, _ANCHOR)
  try:
    found, problem = yaml_settings.load(text, source), 'it has no keys'
  except (yaml.YAMLError, RecursionError) as error:
    found, problem = None, _reason(error)
  if not isinstance(found, dict):
    _refuse_unquoted(override, _NEEDS_QUOTES)
    raise ValueError(
        f'the configuration {override!r} cannot be read: {problem}. Give '
        "key=value pairs joined by commas, with quotes around a value that "
        "holds a comma, as in task.model.backbone.funnel_vit.layout='B6(197, "
        "m4096)-6'; or a YAML file.")
  return _without_nothing(found, override)


def _reason(error: Exception) -> str:
  """Returns what is wrong with YAML and where, on one line."""
  mark = getattr(error, 'problem_mark', None)
  where = f' in line {mark.line + 1}, column {mark.column + 1}' if mark else ''
  problem = getattr(error, 'problem', None) or str(error)
  return ' '.join(problem.split()) + where


def _refuse_unquoted(override: str, special: re.Pattern[str]) -> None:
  """Raises ValueError if a value lacks quotes, naming the first.

  Args:
    override: pairs.
    special: what does not stand for itself without quotes.
  """
  for key, value in _PAIRS.findall(override):
    if special.search(value) and value[:1] not in ('"', "'", '[', '{'):
      quote = '"' if "'" in value else "'"
      raise ValueError(
          f'the configuration {override!r:.200} cannot be read. A value with '
          f'one of {_SPECIAL} needs quotes, inside of those for the shell: '
          f'{key}={quote}{value}{quote}')


def _without_nothing(settings: dict[str, Any], source: str) -> dict[str, Any]:
  """Raises ValueError if there is a key without anything under it."""
  for key, value in settings.items():
    if value is None:
      raise ValueError(
          f'the configuration {source!r} has nothing under {key!r}. Put '
          'settings there, or leave it out.')
  return settings


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
      # Of a group without settings a training saves {}.
      if tree.names(below) or not value:
        check(value, below, source, f'{path}{key}.')
        continue
    problem = table.problem(type(params), key, value)
    if problem:
      raise ValueError(f'{source}: {path}{key} {problem}')
