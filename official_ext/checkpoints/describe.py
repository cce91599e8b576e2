"""Prints the metadata of a checkpoint: what model is it?

python -m official_ext.checkpoints.describe MODEL_DIR_OR_CHECKPOINT
"""

from __future__ import annotations

from collections.abc import Sequence
import json
from typing import Any

from absl import app

from official_ext.command_line import errors
from official_ext.command_line import library_logs

# Items of a list that are shown; the blocks of a layout are fewer.
_MAX_LISTED = 16


def main(argv: Sequence[str]) -> None:
  if len(argv) != 2:
    raise app.UsageError('give one model_dir or one checkpoint prefix')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  from official_ext.checkpoints import metadata
  from official_ext.checkpoints import object_graph
  # pylint: enable=g-import-not-at-top
  with errors.reported():
    checkpoint = object_graph.find(argv[1])
    found = metadata.read(checkpoint)
  if found is None:
    errors.fail(f'{checkpoint} carries no metadata of this project.')
  print(json.dumps(_shortened(found), indent=2))


def _shortened(value: Any) -> Any:
  """Returns metadata with the middle of long lists, such as names, left out."""
  if isinstance(value, dict):
    return {key: _shortened(item) for key, item in value.items()}
  if isinstance(value, list) and len(value) > _MAX_LISTED:
    left_out = len(value) - _MAX_LISTED
    return [*value[:_MAX_LISTED - 1], f'... {left_out} more ...', value[-1]]
  return value


if __name__ == '__main__':
  library_logs.run(main)
