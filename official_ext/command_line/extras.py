"""Imports what is not installed with the package, but as an extra of it."""

from __future__ import annotations

import importlib
import types


def load(module: str, extra: str, what: str) -> types.ModuleType:
  """Imports a module.

  Args:
    module: its dotted name.
    extra: of this package that installs it.
    what: needs it, as the error says.

  Returns:
    The module.

  Raises:
    ValueError: if the extra is not installed.
  """
  try:
    return importlib.import_module(module)
  except ImportError as error:
    raise ValueError(
        f'{what} needs the extra {extra} ({error.name} is missing). Install '
        f"it: pip install -e '.[{extra}]'.") from error
