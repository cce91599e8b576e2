"""The settings of a study and of its rows, nested by name.

The value `{run_of: ViT}` of a setting is the folder of that row's training of
the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from official_ext.params import overrides

# How a setting refers to the training of another row.
RUN_OF = 'run_of'
_SEED = 'trainer.seed'


def read(found: Any, where: str) -> dict[str, Any]:
  """Reads the settings of a study or a row.

  Args:
    found: nested by name, by paths or as text.
    where: what they are of, for messages.

  Returns:
    The settings, nested by name.

  Raises:
    ValueError: if they are none, or have the seed, which is that of a training.
  """
  if isinstance(found, str):
    found = overrides.read(found, where)
  if not isinstance(found, Mapping):
    raise ValueError(
        f'{where}: params_override must hold settings, such as {{'
        f'trainer.train_epochs: 10}}, but is {found!r:.60}.')
  nested: dict[str, Any] = {}
  for key, value in found.items():
    for part in reversed(str(key).split('.')):
      value = {part: value}
    merge(nested, value, where)
  if _has(nested, _SEED):
    raise ValueError(
        f'{where}: {_SEED} is set, but is that of each training. Name the '
        'seeds in the field seeds.')
  return nested


def merge(settings: dict[str, Any], over: Mapping[str, Any],
          where: str | None = None) -> None:
  """Puts settings over others.

  Args:
    settings: nested by name; they are changed.
    over: what wins.
    where: what both are of, for the message; None: the same setting may be in
      both.

  Raises:
    ValueError: if `where` is given and a setting is in both.
  """
  for key, value in over.items():
    below = settings.get(key)
    if isinstance(below, dict) and isinstance(value, Mapping):
      merge(below, value, where)
    elif key in settings and where is not None:
      raise ValueError(f'{where}: params_override sets {key} twice.')
    else:
      settings[key] = _copy(value)


def _copy(value: Any) -> Any:
  if isinstance(value, Mapping):
    return {key: _copy(below) for key, below in value.items()}
  return value


def resolved(settings: Any, folder_of: Mapping[str, str]) -> Any:
  """Returns settings with every `run_of` as a folder.

  Args:
    settings: nested by name.
    folder_of: the folders by the names of the rows.
  """
  if isinstance(settings, Mapping):
    if set(settings) == {RUN_OF}:
      return folder_of[str(settings[RUN_OF])]
    return {key: resolved(value, folder_of) for key, value in settings.items()}
  return settings


def references(settings: Any) -> list[str]:
  """Returns the names of the rows that settings refer to.

  Args:
    settings: nested by name.
  """
  if not isinstance(settings, Mapping):
    return []
  if set(settings) == {RUN_OF}:
    return [str(settings[RUN_OF])]
  return [name for value in settings.values() for name in references(value)]


def check_of_all_rows(settings: Any, where: str) -> None:
  """Refuses settings of all rows that refer to one of them.

  Args:
    settings: nested by name.
    where: what they are of, for the message.

  Raises:
    ValueError: if there is a `run_of`.
  """
  names = references(settings)
  if names:
    raise ValueError(
        f'{where} has {{{RUN_OF}: {names[0]}}}, but is of all rows, and that '
        'row would begin from itself. Set it in the rows that begin from it.')


def _has(settings: Mapping[str, Any], path: str) -> bool:
  for part in path.split('.'):
    if not isinstance(settings, Mapping) or part not in settings:
      return False
    settings = settings[part]
  return True
