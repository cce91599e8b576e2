"""Where a worker writes, when several train together.

All of them must take part in writing a checkpoint, since reading a variable
may need them all, but only one may write to the folder of the training. The
others get a folder that is thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import tempfile

import tensorflow as tf

from official_ext.checkpoints import choose
from official_ext.checkpoints import restore
from official_ext.training import start_folder


@contextlib.contextmanager
def enter(model_dir: str, best_subdir: str, is_chief: bool) -> Iterator[str]:
  """Gives the folder that this worker writes to.

  Args:
    model_dir: folder of the training.
    best_subdir: folder in it of the best checkpoint; empty: none is kept.
    is_chief: whether this is the worker that writes for all.

  Yields:
    `model_dir`, or the path of a folder of its own, that knows the best
    evaluation so far: all workers must agree on which is better.
  """
  if is_chief:
    yield model_dir
    return
  with tempfile.TemporaryDirectory() as folder:
    metrics = os.path.join(model_dir, best_subdir, start_folder.BEST_METRICS)
    if best_subdir and tf.io.gfile.exists(metrics):
      os.makedirs(os.path.join(folder, best_subdir))
      tf.io.gfile.copy(
          metrics,
          os.path.join(folder, best_subdir, start_folder.BEST_METRICS))
    yield folder


def check_same_checkpoint(strategy: tf.distribute.Strategy,
                          model_dir: str) -> None:
  """Finds workers that would not resume from the same checkpoint.

  Args:
    strategy: the strategy of several workers.
    model_dir: folder of the training.

  Raises:
    restore.LoadError: if the workers find different ones.
  """
  path = choose.newest(model_dir)
  # ckpt-STEP
  step = int(path.rsplit('-', maxsplit=1)[1]) if path else 0
  steps = strategy.gather(
      strategy.run(lambda: tf.constant([step])), axis=0).numpy()
  if len(set(steps)) > 1:
    raise restore.LoadError(
        f'the workers found different checkpoints in {model_dir}, of the steps '
        f'{", ".join(map(str, sorted(set(steps))))}. It must be on a file '
        'system that all of them share, such as gs:// or NFS.')
