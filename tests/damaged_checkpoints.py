"""Checkpoints that are damaged as disks, copies and people damage them."""

import os
import pathlib
import random

import tensorflow as tf

DATA = 'data-00000-of-00001'


def save(folder, steps, max_to_keep=None, size=50, **settings):
  """Saves a variable, which holds the step, at some steps; returns the manager.

  The first steps of a training, with nothing but the step to tell them apart.
  """
  step = tf.Variable(0, dtype=tf.int64)
  weights = tf.Variable(tf.zeros([size]))
  manager = tf.train.CheckpointManager(
      tf.train.Checkpoint(global_step=step, weights=weights), str(folder),
      max_to_keep=max_to_keep, **settings)
  for number in steps:
    step.assign(number)
    weights.assign(tf.fill([size], float(number)))
    manager.save(number)
  return manager


def _flip(generator, content, _):
  place, bit = generator.randrange(len(content)), generator.randrange(8)
  return content[:place] + bytes([content[place] ^ 1 << bit]) + (
      content[place + 1:])


def _cut(generator, content, _):
  return content[:generator.randrange(len(content))]


def _shorten(_, content, __):
  return content[:-1]


def _zero(generator, content, _):
  start = generator.randrange(len(content))
  length = generator.randrange(1, len(content) - start + 1)
  return content[:start] + bytes(length) + content[start + length:]


def _write_over(generator, content, _):
  start = generator.randrange(len(content))
  text = generator.randbytes(generator.randrange(1, 64))
  return content[:start] + text + content[start + len(text):]


def _remove(_, content, __):
  del content
  return None


def _exchange(_, content, other):
  del content
  return other


WAYS = (_flip, _cut, _shorten, _zero, _write_over, _remove, _exchange)


def damage(folder, name, other, seed):
  """Damages a file of a checkpoint; returns what was done, for messages.

  Args:
    folder: of the checkpoints.
    name: of the checkpoint.
    other: name of one that is as large.
    seed: decides on file and damage.
  """
  generator = random.Random(seed)
  folder = pathlib.Path(folder)
  before = after = b''
  while after == before:
    part = generator.choice(['index', DATA])
    # Of two checkpoints of one model, the index may be the same to the byte
    # but for what it says of their values.
    way = generator.choice(WAYS)
    path = folder / f'{name}.{part}'
    before = path.read_bytes()
    after = way(generator, before, (folder / f'{other}.{part}').read_bytes())
  # Another file: the time of a file may be as coarse as some milliseconds.
  path.unlink()
  if after is not None:
    path.write_bytes(after)
  return f'seed {seed}: {way.__name__} of {part}'


def values(prefix):
  """Returns all that is in a checkpoint; None if it cannot be read."""
  try:
    reader = tf.train.load_checkpoint(os.fspath(prefix))
    return {key: reader.get_tensor(key).tobytes()
            if hasattr(reader.get_tensor(key), 'tobytes')
            else reader.get_tensor(key)
            for key in reader.get_variable_to_shape_map()}
  except (tf.errors.OpError, IndexError, RuntimeError, ValueError):
    return None
