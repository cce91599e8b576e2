"""Puts a folder of checkpoints in order at the start of a training.

Damaged checkpoints get another name, leftovers of interrupted saves go, and
TensorFlow's note of the newest is written anew from what is there. Whatever
holds a part of a checkpoint is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
import re

from absl import logging
from google.protobuf import text_format
import tensorflow as tf

from official_ext.checkpoints import choose
from official_ext.checkpoints import integrity
from official_ext.command_line import errors

# Folders and files that TensorFlow writes to before it renames them.
_LEFT_OVER = re.compile(
    r'(.+-\d+_temp|.+\.tempstate\d*|checkpoint\.tmp[0-9a-f]+)/?')
# Seconds, below any between two checkpoints.
_JUST_BEFORE = 1.0


def tidy(folder: str, is_needed: bool = True,
         keep_every_hours: float | None = None) -> str | None:
  """Puts a folder in order, to which nothing else may write.

  Args:
    folder: of the checkpoints of a training; it may be missing.
    is_needed: whether a training that finds checkpoints there, but no whole
      one, must not go on.
    keep_every_hours: one checkpoint in so many hours is kept for good; None:
      none is.

  Returns:
    The prefix of the newest whole checkpoint; None if there is none.

  Raises:
    errors.UserError: if there are checkpoints, but none is whole, and
      `is_needed`; nothing is changed then.
    OSError, tf.errors.OpError: if the folder cannot be written.
  """
  try:
    chosen = choose.newest(folder)
  except errors.UserError:
    if is_needed:
      raise
    chosen = None
  if not tf.io.gfile.isdir(folder):
    return None
  is_newer = True
  for one in choose.saved(folder):
    is_newer = is_newer and one.prefix != chosen
    # An older one is read before it is taken.
    if is_newer or (one.prefix != chosen and (
        integrity.index_damage(one.prefix) or choose.wrong_step(one))):
      _set_aside(one.prefix)
  for name in tf.io.gfile.listdir(folder):
    if _LEFT_OVER.fullmatch(name):
      path = os.path.join(folder, name.rstrip('/'))
      (tf.io.gfile.rmtree if tf.io.gfile.isdir(path) else
       tf.io.gfile.remove)(path)
  _note(folder, [one.prefix for one in reversed(choose.saved(folder))],
        keep_every_hours)
  return chosen


def go_back(folder: str, step: int,
            keep_every_hours: float | None = None) -> None:
  """Sets aside the checkpoints after a step that a training goes back to.

  The next start would go on from them.

  Args:
    folder: of the checkpoints; no save to it is going on.
    step: of the newest that is kept.
    keep_every_hours: as in `tidy`.

  Raises:
    OSError, tf.errors.OpError: if the folder cannot be written.
  """
  for one in choose.saved(folder):
    if one.number > step:
      _set_aside(one.prefix, 'is not gone on from')
  _note(folder, [one.prefix for one in reversed(choose.saved(folder))],
        keep_every_hours)


def _set_aside(prefix: str,
               reason: str = 'is damaged, misnamed or unfinished') -> None:
  """Gives the files of a checkpoint a name that nothing takes for one."""
  folder, name = os.path.split(prefix)
  aside, number = f'{choose.SET_ASIDE}{name}', 1
  while integrity.files(os.path.join(folder, aside)):
    number += 1
    aside = f'{choose.SET_ASIDE}{number}-{name}'
  for path in integrity.files(prefix):
    tf.io.gfile.rename(path, os.path.join(
        folder, aside + path.removeprefix(prefix)))
  logging.warning(
      '%s %s: its files are kept as %s.*', prefix, reason,
      os.path.join(folder, aside))


def _note(folder: str, prefixes: Sequence[str],
          keep_every_hours: float | None) -> None:
  """Writes TensorFlow's note of the newest checkpoint, if another is there.

  Args:
    folder: of the checkpoints.
    prefixes: of all that are there, the oldest first.
    keep_every_hours: as in `tidy`.
  """
  path = os.path.join(folder, choose.STATE_FILE)
  if not prefixes:
    if tf.io.gfile.exists(path) and not tf.io.gfile.isdir(path):
      tf.io.gfile.remove(path)
    return
  times = {prefix: tf.io.gfile.stat(f'{prefix}.index').mtime_nsec / 1e9
           for prefix in prefixes}
  # So that of a spaced series the first would be kept.
  preserved = min(times.values()) - max(
      _JUST_BEFORE, 3600 * (keep_every_hours or 0))
  known = choose.state(folder)
  if known:
    listed = dict(zip(known.all_model_checkpoint_paths,
                      known.all_model_checkpoint_timestamps))
    last = max((index for index, prefix in enumerate(prefixes)
                if prefix in listed), default=None)
    if last is not None:
      # What is older and not listed was kept for good.
      prefixes = [prefix for index, prefix in enumerate(prefixes)
                  if prefix in listed or index > last]
      times |= listed
      preserved = known.last_preserved_timestamp
    if ([known.model_checkpoint_path, *known.all_model_checkpoint_paths] ==
        [prefixes[-1], *prefixes]):
      return
  times = [times[prefix] for prefix in prefixes]
  # With the root as the folder, the names are taken as they are.
  new = tf.compat.v1.train.generate_checkpoint_state_proto(
      '/', *_names(prefixes[-1:]), _names(prefixes), times,
      min(preserved, min(times) - _JUST_BEFORE))
  with tf.io.gfile.GFile(f'{path}.tmp0', 'w') as file:
    file.write(text_format.MessageToString(new))
  tf.io.gfile.rename(f'{path}.tmp0', path, overwrite=True)


def _names(prefixes: Sequence[str]) -> list[str]:
  return [os.path.basename(prefix) for prefix in prefixes]
