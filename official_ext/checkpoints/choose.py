"""Chooses the checkpoint to begin from: the newest that is whole.

Training, evaluation, export, analysis and initialising all choose here. What is
in the folder decides, not the file `checkpoint`, in which TensorFlow notes the
newest: it is lost, cut and copied without the rest. Nothing is changed here;
`tidy` does so at the start of a training.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping
import dataclasses
import functools
import os
import re
from typing import Any

from absl import logging
import tensorflow as tf

from official_ext.checkpoints import integrity
from official_ext.command_line import errors

# What TensorFlow notes the newest checkpoint in.
STATE_FILE = 'checkpoint'
# In front of the name of a checkpoint that was set aside.
SET_ASIDE = 'damaged-'

# As a training names its checkpoints, where the number is the step, and as
# Model Garden names the best, where it is not.
_TRAINED = 'ckpt'
_NAMES = (_TRAINED, 'best_ckpt', 'average_weights')
_FILE = re.compile(
    r'(?P<name>(?P<stem>.+)-(?P<number>\d+))'
    r'(?P<part>\.index|\.data-\d{5}-of-\d{5}|_temp)')
_STEP_KEY = 'global_step/.ATTRIBUTES/VARIABLE_VALUE'
_SAVES_KEY = 'save_counter/.ATTRIBUTES/VARIABLE_VALUE'
_MAX_LISTED = 3


@dataclasses.dataclass(frozen=True)
class Found:
  """What is there of a checkpoint.

  Attributes:
    prefix: of the checkpoint, such as 'model_dir/ckpt-100'.
    number: at the end of its name; -1 if there is none.
    has_parts: whether parts of it lie in a folder, of a save that goes on or
      was interrupted.
  """
  prefix: str
  number: int
  has_parts: bool

  @property
  def name(self) -> str:
    return os.path.basename(self.prefix)

  @property
  def is_named_by_step(self) -> bool:
    """Whether the number in the name is the step."""
    return self.name == f'{_TRAINED}-{self.number}'

  def is_unfinished(self) -> bool:
    """Whether its save has not come to its end, where the index is written."""
    return self.has_parts and integrity.index_damage(self.prefix) is not None


def newest(folder: str) -> str | None:
  """Chooses the newest whole checkpoint of a folder.

  Those that are damaged are warned of and passed over; a save that goes on or
  was interrupted is not seen.

  Args:
    folder: of the checkpoints of one training; it may be missing.

  Returns:
    Its prefix; None if there is no checkpoint at all.

  Raises:
    errors.UserError: if there are some, but none is whole, naming the damage;
      or if a file cannot be opened.
  """
  found = saved(folder)
  while True:
    damages = {}
    for one in found:
      damage = integrity.damage(one.prefix) or wrong_step(one)
      if damage is None:
        for name, reason in damages.items():
          _warn(f'{folder}/{name}', reason, one.name)
        return one.prefix
      if not one.is_unfinished():
        damages[one.name] = damage
    # A training beside may have deleted them for a newer one.
    again = saved(folder)
    if again == found:
      break
    found = again
  named = state(folder)
  if not damages and named and named.model_checkpoint_path:
    damages[os.path.basename(named.model_checkpoint_path)] = (
        f'the file `{STATE_FILE}` names it, but it is missing')
  if damages:
    raise errors.UserError(none_whole(folder, damages))
  return None


def check(prefix: str) -> None:
  """Checks a checkpoint that was asked for by its prefix.

  Args:
    prefix: such as 'model_dir/ckpt-100'.

  Raises:
    errors.UserError: if it is damaged, with the newest whole one beside it.
  """
  damage = integrity.damage(prefix)
  if damage is None:
    return
  others = [one.prefix for one in saved(os.path.dirname(prefix))
            if integrity.damage(one.prefix) is None]
  raise errors.UserError(f'{prefix} is damaged: {damage}. ' + (
      f'Give {others[0]}, the newest whole one beside it.' if others else
      'There is no whole one beside it.'))


def saved(folder: str) -> list[Found]:
  """Lists the checkpoints of a folder, whole or not.

  Args:
    folder: of the checkpoints of one training; it may be missing.

  Returns:
    The newest first: by the steps in their names, as numbers, or by those in
    the files where names count something else.

  Raises:
    errors.UserError: if the folder cannot be reached.
  """
  try:
    if not tf.io.gfile.isdir(folder):
      # Of a store that is not reached, `isdir` says no, and `exists` why.
      tf.io.gfile.exists(folder)
      return []
  except tf.errors.OpError as error:
    raise errors.UserError(
        f'{folder} cannot be reached: {errors.reason(error)}.') from error
  # A store of objects has a slash at the end of a folder's name.
  names = [name.rstrip('/') for name in tf.io.gfile.listdir(folder)]
  parts = collections.defaultdict(set)
  for name in names:
    match = _FILE.fullmatch(name)
    if match and not name.startswith(SET_ASIDE):
      parts[match['stem'], int(match['number']), match['name']].add(
          match['part'])
  named = state(folder)
  named = named and os.path.basename(named.model_checkpoint_path)
  stems = {stem for stem, _, _ in parts}
  stem = next((stem for stem in (*_NAMES, (named or '').rpartition('-')[0])
               if stem in stems), None)
  if stem is None and len(stems) == 1:
    stem, = stems
  found = [Found(os.path.join(folder, name), number, '_temp' in files)
           for (one, number, name), files in parts.items()
           # Parts alone are no checkpoint.
           if one == stem and files != {'_temp'}]
  if not found and named and f'{named}.index' in names:
    return [Found(os.path.join(folder, named), -1, False)]
  return sorted(found, reverse=True, key=lambda one: (
      one.number if stem == _TRAINED else step(one.prefix) or one.number,
      one.number))


def step(prefix: str) -> int | None:
  """Reads the step that a checkpoint holds; None if it cannot be read."""
  return _read(prefix, _STEP_KEY)


def _read(prefix: str, key: str) -> int | None:
  try:
    return int(tf.train.load_checkpoint(prefix).get_tensor(key))
  except integrity.READ_ERRORS:
    return None


def wrong_step(one: Found) -> str | None:
  """Says that a whole checkpoint is not the one that its name says.

  Args:
    one: the checkpoint.

  Returns:
    What is wrong, to follow the words 'is damaged:'; None if nothing is, or the
    checkpoint does not know its step.
  """
  held = step(one.prefix) if one.is_named_by_step else None
  # Where nobody gives TensorFlow the step, it counts the saves in the name.
  if held is None or one.number in (held, _read(one.prefix, _SAVES_KEY)):
    return None
  return f'it holds step {held}, not that of its name'


def state(folder: str) -> Any | None:
  """Reads TensorFlow's note of the newest checkpoint.

  Args:
    folder: of the checkpoints.

  Returns:
    TensorFlow's CheckpointState; None if the file is missing or damaged.
  """
  try:
    return tf.train.get_checkpoint_state(folder)
  except (ValueError, tf.errors.OpError):
    return None


def none_whole(folder: str, damages: Mapping[str, str]) -> str:
  """Says that no checkpoint is whole, and what to do."""
  listed = [f'{name}: {damage}' for name, damage in damages.items()]
  if len(listed) > _MAX_LISTED:
    listed[_MAX_LISTED:] = [f'and {len(listed) - _MAX_LISTED} more']
  return (f'{folder} holds no checkpoint that is whole ({"; ".join(listed)}). '
          'Copy one there from a backup, or choose another folder.')


@functools.cache
def _warn(prefix: str, damage: str, chosen: str) -> None:
  """Warns of a damaged checkpoint once, however often one is chosen."""
  logging.warning(
      '%s is damaged: %s. It is passed over, and %s taken.', prefix, damage,
      chosen)
