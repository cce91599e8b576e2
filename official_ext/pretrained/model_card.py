"""The license in a model card: the YAML between two lines of README.md."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import re
from typing import Any

from absl import logging
import yaml

FILE = 'README.md'
_HEAD = re.compile(r'\s*---[ \t]*\r?\n(.*?)^---[ \t]*\r?$',
                   re.DOTALL | re.MULTILINE)
# The hub's words for a license that is not in its list, whose name stands
# beside.
_OTHER = 'other'


def read_license(folder: str) -> str:
  """Reads the license that a model card names.

  Args:
    folder: where the card is; there need be none.

  Returns:
    The license as `license_text` has it; empty if the card names none, or is
    no YAML, which is warned of.
  """
  path = os.path.join(folder, FILE)
  if not os.path.isfile(path):
    return ''
  with open(path, encoding='utf-8-sig', errors='replace') as file:
    head = _HEAD.match(file.read())
  try:
    # All values as they are typed: `license: no` names one.
    values = yaml.load(head[1], Loader=yaml.BaseLoader) if head else None
  except yaml.YAMLError as error:
    logging.warning(
        '%s begins with lines that are no YAML, so the license is not known: '
        '%s', path, ' '.join(str(error).split()))
    return ''
  if not isinstance(values, Mapping):
    return ''
  named = license_text(values.get('license'))
  if named.lower() == _OTHER:
    return license_text(values.get('license_name')) or named
  return named


def license_text(value: Any) -> str:
  """Returns a license, or a list of them, on one line.

  Args:
    value: as a card or a config has it: a text, a list of texts, or None.

  Returns:
    The names, separated by commas; empty if there is none.
  """
  names = value if isinstance(value, list) else [value]
  return ', '.join(' '.join(name.split()) for name in names
                   if isinstance(name, str) and name.strip())


def text(license_name: str) -> str:
  """Returns a model card that names a license and nothing else."""
  # JSON's quoted text is one of YAML's.
  name = json.dumps(license_text(license_name), ensure_ascii=False)
  return f'---\nlicense: {name}\n---\n'
