"""Flags of a type that absl lacks, or that several packages define."""

from __future__ import annotations

import os
from typing import Any

from absl import flags

_FIGURES = ('.png', '.pdf')


class _PositiveIntegers(flags.ListParser):
  """Whole numbers of at least 1, separated by commas."""

  def __init__(self, allow_none: bool):
    super().__init__()
    self._allow_none = allow_none

  def parse(self, argument: Any) -> list[int]:
    texts = [str(item).strip() for item in super().parse(argument)]
    if not all(text.isdecimal() and int(text) for text in texts):
      raise ValueError('must be positive integers, such as 1,16')
    if not texts and not self._allow_none:
      raise ValueError('name at least one number, such as 1,16')
    return [int(text) for text in texts]


def define_positive_integers(
    name: str, default: list[int], help_text: str, allow_none: bool = False,
    flag_values: flags.FlagValues = flags.FLAGS,
) -> flags.FlagHolder[list[int]]:
  """Defines a flag of the module that calls this.

  Args:
    name: of the flag.
    default: its value if it is not given.
    help_text: what --help says.
    allow_none: whether the list may be empty.
    flag_values: where the flag is registered.

  Returns:
    Holds the list of numbers once the flags are parsed.
  """
  return flags.DEFINE(
      _PositiveIntegers(allow_none), name, default, help_text,
      flag_values=flag_values, serializer=flags.ListSerializer(','))


def define_figures(
    name: str, default: str, flag_values: flags.FlagValues = flags.FLAGS,
) -> flags.FlagHolder[list[str]]:
  """Defines a flag that names the files to draw a figure to.

  Args:
    name: of the flag.
    default: a file.
    flag_values: where the flag is registered.

  Returns:
    Holds the paths once the flags are parsed.
  """
  endings = ' or '.join(_FIGURES)
  holder = flags.DEFINE_list(
      name, [default],
      f'Files to draw, {endings}; several with commas between.',
      flag_values=flag_values)
  flags.register_validator(
      name, lambda paths: paths and all(
          path.endswith(_FIGURES) for path in paths),
      f'name files that end in {endings}', flag_values=flag_values)
  return holder


def define_num_threads() -> flags.FlagHolder[int]:
  """Defines the flag of the commands that run exports."""
  return flags.DEFINE_integer(
      'num_threads', os.cpu_count() or 1,
      'Threads of the LiteRT and ONNX runtimes.', lower_bound=1)


# --help lists a flag under the command that asked for it.
flags.disclaim_key_flags()
