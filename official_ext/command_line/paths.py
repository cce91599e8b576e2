"""Paths as a person types them, and those that TensorFlow cannot take."""

from __future__ import annotations

from collections.abc import Sequence
import os

from absl import flags

from official_ext.command_line import errors

_PATTERN_CHARACTERS = '[]*?\\'


def expand_home(path: str) -> str:
  """Returns a path with `~` or `~user` at its beginning replaced.

  A shell does so after a space, but not after the = of a flag or a setting.

  Args:
    path: any text.

  Returns:
    The path; unchanged where there is no such user.
  """
  return os.path.expanduser(path)


def expand_flags(argv: Sequence[str]) -> list[str]:
  """Replaces `~` in the flags and arguments of a command.

  Args:
    argv: the command and its arguments without the flags.

  Returns:
    The same with paths for `~`; flags, parsed before, are changed in place.
  """
  for name in flags.FLAGS:
    flag = flags.FLAGS[name]
    if isinstance(flag.value, str):
      flag.value = expand_home(flag.value)
    elif isinstance(flag.value, list):
      flag.value = [expand_home(item) if isinstance(item, str) else item
                    for item in flag.value]
  return [argv[0], *map(expand_home, argv[1:])]


def check_utf8(argv: Sequence[str]) -> None:
  """Ends a command one of whose flags or arguments is not UTF-8.

  Args:
    argv: the command and its arguments without the flags, parsed before.

  Raises:
    SystemExit: naming it, once that is printed.
  """
  given = [('the argument', text) for text in argv[1:]]
  for name in flags.FLAGS:
    value = flags.FLAGS[name].value
    given += [(f'--{name}', text) for text in (
        value if isinstance(value, list) else [value])
              if isinstance(text, str)]
  for name, text in given:
    try:
      text.encode()
    except UnicodeEncodeError:
      errors.fail(f'{name} is {os.fsencode(text)!r}, which is not UTF-8, so '
                  'TensorFlow cannot take it. Rename it.')


def check_no_pattern(name: str, path: str) -> None:
  """Checks a folder of checkpoints or of SavedModels.

  Args:
    name: what was given it, such as '--model_dir'.
    path: the folder, or a prefix in it.

  Raises:
    ValueError: if TensorFlow would take it for a pattern.
  """
  found = [character for character in _PATTERN_CHARACTERS if character in path]
  if found:
    raise ValueError(
        f'{name}={path} holds {" and ".join(found)}, but TensorFlow takes '
        '[, ], *, ? and \\ for a pattern and would not find what is in the '
        'folder. Choose another name, or rename it.')
