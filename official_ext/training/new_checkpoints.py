"""The checkpoints that a training writes, as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import time

from official_ext.checkpoints import choose
from official_ext.training import preemption

_POLL_SECONDS = 1.0


def wait_for_first(model_dir: str, interrupts: preemption.Watch) -> str:
  """Waits until there is a whole checkpoint.

  Args:
    model_dir: folder of the training; it may be missing yet.
    interrupts: knows whether the process is to end.

  Returns:
    The prefix of the newest one.

  Raises:
    errors.UserError: if there are some, but none is whole.
    preemption.Preempted: if the process is to end.
  """
  try:
    return next(watch(model_dir, interrupts, timeout=None, timeout_fn=None))
  except preemption.Interrupt:
    notice = interrupts.notice
    raise preemption.Preempted(
        f'stopped by {notice.source}: there was no checkpoint in {model_dir} '
        'to evaluate yet.', notice.exit_status) from None


def watch(model_dir: str, interrupts: preemption.Watch, timeout: float | None,
          timeout_fn: Callable[[], bool] | None) -> Iterator[str]:
  """Waits for whole checkpoints, as `tf.train.checkpoints_iterator` does.

  Args:
    model_dir: folder of the training; it may be missing yet.
    interrupts: knows whether the process is to end.
    timeout: seconds to wait for a new one; None: for ever.
    timeout_fn: whether to end then; None: yes.

  Yields:
    The prefix of the newest checkpoint, whenever it is another one.

  Raises:
    errors.UserError: if there are some, but none is whole.
    preemption.Interrupt: if the process is to end.
  """
  last, since = None, time.monotonic()
  while True:
    interrupts.check()
    newest = choose.newest(model_dir)
    if newest and newest != last:
      yield newest
      last, since = newest, time.monotonic()
    elif timeout is not None and time.monotonic() - since >= timeout:
      if timeout_fn is None or timeout_fn():
        return
      since = time.monotonic()
    else:
      time.sleep(_POLL_SECONDS)
