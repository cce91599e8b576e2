"""Reads every checkpoint of a folder, and says which are damaged.

python -m official_ext.checkpoints.verify MODEL_DIR

One that holds another step than its name says, or another model than the
params.yaml beside it (than the newest, where there is none), is whole and yet
none of this training: its files were written over.
"""

from __future__ import annotations

from collections.abc import Sequence
import textwrap
from typing import Any

from absl import app

from official_ext.command_line import errors
from official_ext.command_line import library_logs
from official_ext.command_line import tables

_MIB = 2 ** 20
_WIDTH = 80


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
    damages = {one.name: integrity.damage(one.prefix) for one in found}
    whole = [one for one in found if damages[one.name] is None]
    foreign = _foreign(folder, whole)
    rows, reasons = [], []
    for one in reversed(found):
      state, reason = 'whole', damages[one.name]
      if reason and one.is_unfinished():
        state, reason = 'not finished', 'its save goes on or was interrupted'
      elif reason:
        state, reason = 'DAMAGED', reason
      elif one.name in foreign:
        state, reason = 'OTHER', foreign[one.name]
      if reason:
        reasons.append(f'{one.name}: {reason}.')
      step = choose.step(one.prefix)
      size = sum(tf.io.gfile.stat(path).length
                 for path in integrity.files(one.prefix))
      rows.append([one.name, '?' if step is None else str(step),
                   f'{size / _MIB:,.1f}', state])
  print(tables.aligned(['checkpoint', 'step', 'MiB', 'state'], rows))
  for reason in reasons:
    print(textwrap.fill(reason, _WIDTH, subsequent_indent='  ',
                        break_on_hyphens=False))
  if reasons:
    raise SystemExit(1)


def _foreign(folder: str, whole: Sequence[Any]) -> dict[str, str]:
  """Returns which checkpoints are of another training, and why.

  Args:
    folder: of the checkpoints.
    whole: those that can be read, as `choose.saved` lists them.

  Returns:
    The reasons by the names of the checkpoints.
  """
  # pylint: disable=g-import-not-at-top
  from official_ext.checkpoints import choose
  from official_ext.checkpoints import metadata
  from official_ext.params import experiment
  # pylint: enable=g-import-not-at-top
  known = {one.name: metadata.read(one.prefix) for one in whole}
  try:
    where = experiment.SAVED_FILE
    expected = metadata.describe(experiment.load_saved(folder))
  except ValueError:  # The folder of a best checkpoint, for one, has none.
    where, expected = next(
        ((name, found) for name, found in known.items() if found), ('', None))
  reasons = {}
  for one in whole:
    step, found = choose.step(one.prefix), known[one.name]
    different = expected and found and metadata.differences(
        found, expected, f'in {where}')
    if different:
      reasons[one.name] = f'it is of another model: {"; ".join(different)}'
    elif one.is_named_by_step and step not in (None, one.number):
      reasons[one.name] = f'it holds step {step}, not {one.number}'
  return reasons


if __name__ == '__main__':
  library_logs.run(main)
