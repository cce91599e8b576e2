"""Flags that do not parse, in words for the person who typed them.

absl hands on what Python says of a text that is no number.
"""

from __future__ import annotations

from collections.abc import Sequence
import re
import sys

from absl import flags

_OF_PYTHON = (
    (re.compile(r'invalid literal for int\(\) with base \d+: .*', re.DOTALL),
     'must be one whole number, such as {}'),
    (re.compile(r'could not convert string to float: .*', re.DOTALL),
     'must be one number, such as {}'))


def parse(argv: Sequence[str]) -> list[str]:
  """Parses the flags of a command, as `absl.app.run` asks for.

  Args:
    argv: the command and its arguments.

  Returns:
    What is left without the flags.

  Raises:
    SystemExit: if a flag is none or its value is wrong, once that is printed.
  """
  try:
    return flags.FLAGS(argv)
  except flags.Error as error:
    print(f'FATAL Flags parsing error: {_explained(str(error))}\n'
          'Pass --helpshort or --helpfull to see help on flags.',
          file=sys.stderr)
    raise SystemExit(1) from None


def _explained(message: str) -> str:
  """Returns a message of absl without Python's words for a number."""
  name = re.match(r'flag --(\w+)=', message)
  for of_python, words in _OF_PYTHON:
    if name and of_python.search(message):
      default = flags.FLAGS[name[1]].default
      example = '1' if default in (None, 0) else default
      return of_python.sub(words.format(example), message)
  return message
