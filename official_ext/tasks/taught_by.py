"""Which checkpoint teaches a training, noted in the training's own.

A training that goes on must learn from the same teacher to its end. The path
alone does not say so: the teacher may have been trained on meanwhile, or
removed and trained anew.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
from typing import Any

from official_ext.checkpoints import integrity

# In what the student's checkpoints say of its data.
KEY = 'teacher'


def noted(known: Mapping[str, Any], path: str,
          checkpoint: str) -> dict[str, Any]:
  """Adds which checkpoint teaches to what a student knows of its data.

  Args:
    known: what it knows.
    path: what the user calls the teacher.
    checkpoint: prefix of the checkpoint that it is.

  Returns:
    The same with the teacher under `KEY`.

  Raises:
    ValueError: if the training was begun with another checkpoint of the same
      path, or with one of the same name and other weights.
  """
  ours = {'path': path, 'checkpoint': os.path.basename(checkpoint)}
  digest = integrity.fingerprint(checkpoint)
  if digest:
    ours['weights'] = digest
  before = known.get(KEY, ours)
  if before['path'] == path:
    _check_same(before, ours, path, checkpoint)
  return {**known, KEY: ours}


def _check_same(before: Mapping[str, str], ours: Mapping[str, str], path: str,
                checkpoint: str) -> None:
  setting = f'task.distillation.teacher={path}'
  if before['checkpoint'] != ours['checkpoint']:
    of_before = os.path.join(os.path.dirname(checkpoint), before['checkpoint'])
    raise ValueError(
        f'{setting} is {ours["checkpoint"]} now, but this training was begun '
        f'with {before["checkpoint"]}. Give {of_before}, or {checkpoint} to '
        'learn from that, with --allow_changes.')
  weights = before.get('weights')
  if weights and weights != ours.get('weights', weights):
    raise ValueError(
        f'{setting} is still {ours["checkpoint"]}, but holds other weights '
        'than when this training was begun: the teacher was trained anew. '
        'Bring the former one back; or begin this training anew in another '
        '--model_dir; or, to go on with the new one, move its folder and name '
        'that, with --allow_changes.')
