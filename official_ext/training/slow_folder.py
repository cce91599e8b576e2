"""Says so when a folder does not answer, such as one on a store of objects.

TensorFlow tries again and again to reach a store, for many minutes and without
a word. How long is too long, nobody knows but who waits: nothing is ended here.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import threading

from absl import logging

_FIRST_SECONDS = 60.0


@contextlib.contextmanager
def told(path: str, what: str) -> Iterator[None]:
  """Warns when a block takes long: after a minute, and ever more seldom.

  Args:
    path: the folder that it waits for.
    what: it does with it, such as 'reading its checkpoints'.

  Yields:
    While the block runs.
  """
  is_over = threading.Event()

  def tell():
    waited, pause = 0.0, _FIRST_SECONDS
    while not is_over.wait(pause):
      waited += pause
      pause = waited
      logging.warning(
          '%s: %s takes %.0f s already, and goes on. If it is not to be '
          'reached, Ctrl-C ends the run; what is saved stays.', path, what,
          waited)

  thread = threading.Thread(target=tell, name='slow_folder', daemon=True)
  thread.start()
  try:
    yield
  finally:
    is_over.set()
    thread.join()
