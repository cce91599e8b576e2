"""Reads every checkpoint of a folder, and says which are damaged.

python -m official_ext.checkpoints.verify MODEL_DIR
"""

from __future__ import annotations

from collections.abc import Sequence

from absl import app

from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.command_line import tables

_MIB = 2 ** 20


def main(argv: Sequence[str]) -> None:
  if len(argv) != 2:
    raise app.UsageError(
        'give one folder of checkpoints: a model_dir, or that of its best '
        'checkpoint')
  library_logs.silence()
  # pylint: disable=g-import-not-at-top
  import tensorflow as tf

  from official_ext.checkpoints import choose
  from official_ext.checkpoints import integrity
  # pylint: enable=g-import-not-at-top
  folder = argv[1]
  with errors.reported():
    found = choose.saved(folder)
    if not found:
      raise ValueError(
          f'{folder}: ' + ('the folder holds no checkpoint.'
                           if tf.io.gfile.isdir(folder) else
                           'there is no such folder.'))
    rows, num_damaged = [], 0
    for one in reversed(found):
      damage = integrity.damage(one.prefix)
      state = 'whole'
      if damage:
        state = ('its save goes on or was interrupted' if one.is_unfinished()
                 else f'DAMAGED: {damage}')
        num_damaged += 1
      step = choose.step(one.prefix)
      size = sum(tf.io.gfile.stat(path).length
                 for path in integrity.files(one.prefix))
      rows.append([one.name, '?' if step is None else str(step),
                   f'{size / _MIB:,.1f}', state])
  print(tables.aligned(['checkpoint', 'step', 'MiB', 'state'], rows))
  if num_damaged:
    raise SystemExit(1)


if __name__ == '__main__':
  library_logs.run(main)
