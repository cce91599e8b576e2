"""The other end of a benchmark process: starts it, asks it, ends it."""

from __future__ import annotations

from collections.abc import Mapping
import multiprocessing
import pathlib
import sys
import tempfile
from typing import Any

from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process

# The last lines of what a process wrote before it died.
_LAST_LINES = 15


class Worker:
  """One benchmark process; a context manager that ends it."""

  def __init__(self, settings: settings_lib.Settings):
    """Starts the process and waits until its model is built.

    Args:
      settings: what to measure.

    Raises:
      step_process.OutOfMemoryError: if the model does not fit.
      step_process.WorkerError: if the process fails.
      ValueError: if the settings do not fit together.
    """
    self.settings = settings
    self._folder = tempfile.TemporaryDirectory()
    self._log = pathlib.Path(self._folder.name, 'log')
    # A fork would inherit the TensorFlow of this process.
    context = multiprocessing.get_context('spawn')
    self._connection, other_end = context.Pipe()
    self._process = context.Process(
        target=step_process.run, args=(settings, other_end, str(self._log)),
        daemon=True)
    self._process.start()
    other_end.close()
    try:
      self.device_name = self._receive()
    except BaseException:
      self.close()
      raise

  def run_steps(self, num_steps: int) -> list[float]:
    """Runs steps one after the other and returns the time of each, ms."""
    return self._ask({'steps': num_steps})

  def peak_memory(self) -> Mapping[str, Any]:
    """Returns the peak so far: `peak_gib`, which may be None, and `peak_of`."""
    return self._ask({'memory': True})

  def _ask(self, command: Mapping[str, Any]) -> Any:
    try:
      self._connection.send(command)
    except BrokenPipeError:
      pass  # What the process said before it ended is still to be read.
    return self._receive()

  def _receive(self) -> Any:
    try:
      answer = self._connection.recv()
    except (EOFError, ConnectionResetError):
      self._process.join()
      answer = self._cause_of_death()
    if isinstance(answer, Exception):
      raise answer
    return answer

  def _cause_of_death(self) -> Exception:
    """Returns why the process ended without a word."""
    code, layout = self._process.exitcode, self.settings.layout
    log = self._log.read_text(errors='replace') if self._log.exists() else ''
    last = '\n'.join(log.splitlines()[-_LAST_LINES:])
    was_refused = 'bad_alloc' in last or 'memory' in last.lower()
    if code == -9:
      print(f'the process of layout {layout} was killed (signal 9): taken for '
            'out of memory, as Linux ends a process then', file=sys.stderr,
            flush=True)
    # Under a limit, libraries end the process in ways of their own.
    if code == -9 or (code == -6 and was_refused) or (
        self.settings.memory_limit_gib):
      return step_process.OutOfMemoryError(f'the process ended with {code}')
    return step_process.WorkerError(
        f'the process of layout {layout} ended with {code}:\n{last}')

  def close(self) -> None:
    """Ends the process, whatever it does."""
    self._process.kill()
    self._process.join()
    self._connection.close()
    self._folder.cleanup()

  def __enter__(self) -> Worker:
    return self

  def __exit__(self, *exception) -> None:
    self.close()
