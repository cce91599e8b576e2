"""Types of command-line flags that absl lacks."""

from __future__ import annotations

from typing import Any

from absl import flags


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


# --help lists a flag under the command that asked for it.
flags.disclaim_key_flags()
