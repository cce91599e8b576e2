"""Prints the metadata of a checkpoint: what model is it?

python -m official_ext.checkpoints.describe MODEL_DIR_OR_CHECKPOINT
"""

from __future__ import annotations

from collections.abc import Sequence
import json

from absl import app

from official_ext.command_line import errors
from official_ext.command_line import library_logs


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
  print(json.dumps(found, indent=2))


if __name__ == '__main__':
  library_logs.run(main)
