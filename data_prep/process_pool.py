"""Converts shards in processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import process
import multiprocessing
from multiprocessing import connection
import os
import signal
import threading

from data_prep import plan as plans
from data_prep import shards

_POLL_SECONDS = 0.2
# A worker adds up this much before it takes the lock of the counters.
_REPORTED_BYTES = 4 * 2**20

_counters = None


def convert(tasks: Sequence[plans.ShardTask], num_workers: int,
            report: Callable[[int, int], None]) -> list[shards.ShardResult]:
  """Converts shards.

  Args:
    tasks: the shards.
    num_workers: processes; 0 converts in this one.
    report: called now and then with the number of images and bytes that are
      done by now.

  Returns:
    The results, in the order of the tasks.

  Raises:
    ValueError: if a worker was killed.
    OSError: if a shard cannot be written.
  """
  if not num_workers:
    return _convert_here(tasks, report)
  # Spawned, so that a worker holds nothing of this process: neither its memory
  # nor its locks.
  context = multiprocessing.get_context('spawn')
  counters = context.Array('q', 2)
  executor = futures.ProcessPoolExecutor(
      max_workers=min(num_workers, len(tasks)), mp_context=context,
      initializer=_start_worker, initargs=(counters,))
  try:
    pending = [executor.submit(_convert_in_worker, task) for task in tasks]
    waiting = set(pending)
    while waiting:
      done, waiting = futures.wait(
          waiting, _POLL_SECONDS, return_when=futures.FIRST_EXCEPTION)
      report(*counters[:])
      for future in done:
        future.result()  # Raises what the worker raised.
    return [future.result() for future in pending]
  except process.BrokenProcessPool:
    raise ValueError(
        'a worker process was killed, perhaps for lack of memory. Run the same '
        'command again, perhaps with fewer --num_workers: what is finished is '
        'kept.') from None
  finally:
    _stop(executor)


def _stop(executor: futures.ProcessPoolExecutor) -> None:
  """Ends the workers, in the middle of a shard if need be."""
  executor.shutdown(wait=False, cancel_futures=True)
  for worker in multiprocessing.active_children():
    worker.terminate()
    worker.join()


def _convert_here(tasks: Sequence[plans.ShardTask],
                  report: Callable[[int, int], None]
                  ) -> list[shards.ShardResult]:
  totals = [0, 0]

  def advance(num_images, num_bytes):
    totals[0] += num_images
    totals[1] += num_bytes
    report(*totals)

  return [shards.convert_shard(task, advance) for task in tasks]


def _start_worker(counters) -> None:
  global _counters
  _counters = counters
  # Ctrl-C goes to every process of a terminal; the first one ends the others.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
  """Ends this worker when the process that started it is gone."""
  connection.wait([multiprocessing.parent_process().sentinel])
  os._exit(1)


def _convert_in_worker(task: plans.ShardTask) -> shards.ShardResult:
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

  result = shards.convert_shard(task, advance)
  flush()
  return result
