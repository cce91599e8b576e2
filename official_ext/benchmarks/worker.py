"""The other end of a benchmark process: starts it, asks it, ends it."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from official_ext.benchmarks import settings as settings_lib

# The last lines of what a process wrote before it died.
_LAST_LINES = 15
_ROOT = pathlib.Path(__file__).resolve().parents[2]


class OutOfMemoryError(Exception):
  """The model does not fit."""


class WorkerError(Exception):
  """The process failed for another reason than memory."""


class Worker:
  """One benchmark process; a context manager that ends it."""

  def __init__(self, settings: settings_lib.Settings):
    """Starts the process and waits until its model is built.

    Args:
      settings: what to measure.

    Raises:
      OutOfMemoryError: if the model does not fit.
      WorkerError: if the process fails.
    """
    self.settings = settings
    self._errors = tempfile.TemporaryFile()  # pylint: disable=consider-using-with
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join(filter(None, [
            str(_ROOT), os.environ.get('PYTHONPATH')]))}
    self._process = subprocess.Popen(  # pylint: disable=consider-using-with
        [sys.executable, '-m', 'official_ext.benchmarks.step_process',
         settings.to_json()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        text=True, env=environment)
    try:
      self.machine = self._read()
    except BaseException:
      self.close()
      raise

  def run_steps(self, num_steps: int) -> list[float]:
    """Runs steps one after the other and returns the time of each, ms."""
    times = self._ask({'steps': num_steps})['ms']
    if len(times) != num_steps:
      raise WorkerError(f'{num_steps} steps were asked for, {len(times)} run.')
    return times

  def peak_memory(self) -> Mapping[str, Any]:
    """Peak memory so far: `peak_gib`, which may be None, and `peak_of`."""
    return self._ask({'memory': True})

  def _ask(self, command: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
      self._process.stdin.write(json.dumps(command) + '\n')
      self._process.stdin.flush()
    except BrokenPipeError:
      pass  # What the process said before it ended is still to be read.
    return self._read()

  def _read(self) -> Mapping[str, Any]:
    line = self._process.stdout.readline()
    if not line:
      return_code = self._process.wait()
      last = self._last_lines()
      was_refused = 'bad_alloc' in last or 'memory' in last.lower()
      # Under a limit, libraries end the process in ways of their own.
      if return_code == -9 or (return_code == -6 and was_refused) or (
          self.settings.memory_limit_gib):
        if return_code == -9:
          print(f'the process of layout {self.settings.layout} was killed '
                '(signal 9): taken for out of memory, as Linux ends a process '
                'then', file=sys.stderr, flush=True)
        raise OutOfMemoryError(f'the process ended with {return_code}')
      raise WorkerError(
          f'the process of layout {self.settings.layout} ended with '
          f'{return_code}:\n{last}')
    answer = json.loads(line)
    if 'out_of_memory' in answer:
      raise OutOfMemoryError(answer['out_of_memory'])
    if 'error' in answer:
      if answer['is_value_error']:
        raise ValueError(answer['error'])
      raise WorkerError(
          f'layout {self.settings.layout}, {answer["type"]}: '
          f'{answer["error"]}')
    return answer

  def _last_lines(self) -> str:
    self._errors.seek(0)
    lines = self._errors.read().decode(errors='replace').splitlines()
    return '\n'.join(lines[-_LAST_LINES:])

  def close(self) -> None:
    """Ends the process, whatever it does."""
    self._process.kill()
    self._process.wait()
    for stream in (self._process.stdin, self._process.stdout, self._errors):
      try:
        stream.close()
      except BrokenPipeError:
        pass

  def __enter__(self) -> Worker:
    return self

  def __exit__(self, *exception) -> None:
    self.close()
