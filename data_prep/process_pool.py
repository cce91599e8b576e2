"""Converts shards in processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import process
import contextlib
import multiprocessing
from multiprocessing import connection
import os
import signal
import threading
import time

from . import plan as plans
from . import shards

_POLL_SECONDS = 0.2
# A worker adds up this much before it takes the lock of the counters.
_REPORTED_BYTES = 4 * 2**20

_counters = None


def convert(tasks: Sequence[plans.ShardTask], num_workers: int,
            report: Callable[[int, int], None]) -> None:
  """Converts shards.

  Args:
    tasks: the shards.
    num_workers: processes, at least 1.
    report: called now and then with the number of images and bytes that are
      done by now.

  Raises:
    ValueError: if a worker was killed.
    OSError: if a shard cannot be written.
  """
  with Pool(min(num_workers, len(tasks))) as pool:
    pool.convert(tasks, report)


class Pool:
  """Worker processes; a context, which ends them."""

  def __init__(self, num_workers: int):
    """Prepares the workers; they start when there is something to do.

    Args:
      num_workers: at least 1.
    """
    # Spawned, so that a worker holds nothing of this process: neither its
    # memory nor its locks.
    context = multiprocessing.get_context('spawn')
    self._num_workers = num_workers
    self._counters = context.Array('q', 2)
    self._executor = futures.ProcessPoolExecutor(
        max_workers=num_workers, mp_context=context,
        initializer=_start_worker, initargs=(self._counters,))

  def __enter__(self) -> Pool:
    return self

  def __exit__(self, *unused_error) -> None:
    """Ends the workers, in the middle of a shard if need be."""
    self._executor.shutdown(wait=False, cancel_futures=True)
    for worker in multiprocessing.active_children():
      worker.terminate()
      worker.join()

  def convert(self, tasks: Sequence[plans.ShardTask],
              report: Callable[[int, int], None]) -> None:
    """Converts as the function does; counts continue from an earlier call."""
    with _without_interrupts():
      waiting = {self._executor.submit(_convert_in_worker, task)
                 for task in tasks}
    try:
      while waiting:
        done, waiting = futures.wait(
            waiting, _POLL_SECONDS, return_when=futures.FIRST_EXCEPTION)
        report(*self._counters[:])
        for future in done:
          future.result()  # Raises what the worker raised.
    except process.BrokenProcessPool:
      raise ValueError(
          'a worker process was killed, perhaps for lack of memory. Run the '
          'same command again, perhaps with fewer --num_workers: what is '
          'finished is kept.') from None

  def peak_memory(self) -> dict[int, int]:
    """Returns the memory of the workers; starts them if they are not running.

    Returns:
      By process: its largest resident set so far, bytes.
    """
    with _without_interrupts():
      # A busy worker leaves the next call to another one.
      pending = [self._executor.submit(_worker_memory)
                 for _ in range(self._num_workers)]
    return dict(future.result() for future in pending)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
  """Holds Ctrl-C back, here for a moment and for good in the new processes.

  It goes to every process of a terminal; the first one ends the others.
  """
  before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(counters) -> None:
  global _counters
  _counters = counters
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  """Ends this worker when the process that started it is gone."""
  connection.wait([multiprocessing.parent_process().sentinel])
  os._exit(1)


def _convert_in_worker(task: plans.ShardTask) -> None:
  unreported = [0, 0]

  def flush():
    with _counters.get_lock():
      _counters[0] += unreported[0]
      _counters[1] += unreported[1]
    unreported[:] = [0, 0]

  def advance(num_images, num_bytes):
    unreported[0] += num_images
    unreported[1] += num_bytes
    if unreported[1] >= _REPORTED_BYTES:
      flush()

  shards.convert_shard(task, advance)
  flush()


def _worker_memory() -> tuple[int, int]:
  time.sleep(_POLL_SECONDS)
  return os.getpid(), _peak_memory()


def _peak_memory() -> int:
  """Returns the largest resident set of this process so far, bytes."""
  # Not getrusage: its figure begins with that of the process before the fork.
  with open('/proc/self/status', encoding='ascii') as file:
    for line in file:
      if line.startswith('VmHWM:'):
        return int(line.split()[1]) * 1024
  raise OSError('/proc/self/status has no VmHWM')
