"""Commands under the names that they had, for one release.

`python -m official_ext.describe_layouts` runs `official_ext.layouts.describe`
and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from typing import Any

# Remove a name in the release after the one whose CHANGELOG lists it.
COMMANDS = {
    'official_ext.analysis.class_visualization':
        'official_ext.analysis.activation_maximization',
    'official_ext.describe_checkpoint': 'official_ext.checkpoints.describe',
    'official_ext.describe_layouts': 'official_ext.layouts.describe',
    'official_ext.plan_layouts': 'official_ext.layouts.plan',
    'official_ext.serving.export_saved_model': 'official_ext.serving.export',
    'official_ext.serving.verify_export': 'official_ext.serving.verify',
}


class _Finder(importlib.abc.MetaPathFinder):
  """Finds the file of a command under its former name."""

  def find_spec(self, fullname: str, path: Sequence[str] | None,
                target: Any = None) -> importlib.machinery.ModuleSpec | None:
    del path, target
    name = COMMANDS.get(fullname)
    if name is None:
      return None
    print(f'note: {fullname} is now {name}', file=sys.stderr)
    return importlib.util.spec_from_file_location(
        fullname, importlib.util.find_spec(name).origin)


def install() -> None:
  """Lets `python -m` and imports find the commands by their former names."""
  if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
    sys.meta_path.append(_Finder())
