"""A folder of TensorBoard's logs, watched while a training runs.

TensorFlow writes on into a file that was removed, and does not notice.
"""

from __future__ import annotations

import os

from absl import logging

from official_ext.training import event_tags


class LogFolder:
  """Knows whether what is logged can still be read."""

  def __init__(self, path: str | None):
    """Initialises the folder.

    Args:
      path: of the folder; None: nothing is logged.
    """
    # A store of objects shows a log only once it is whole.
    self._path = path if path and '://' not in path else None

  def check(self) -> None:
    """Warns, once, if what was logged is gone; something must have been."""
    if self._path is None:
      return
    try:
      names = os.listdir(self._path)
    except OSError:
      names = []
    if not any(name.startswith(event_tags.PREFIX) for name in names):
      logging.warning(
          '%s was removed while the training ran: what follows is not logged '
          'there until the next start. The training goes on.', self._path)
      self._path = None
