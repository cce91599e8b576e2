"""What the figures of a benchmark were measured on and with.

Needs no TensorFlow.
"""

from __future__ import annotations

from importlib import metadata
import os
import platform


def num_cores() -> int:
  """Returns how many CPU cores this process may use."""
  return len(os.sched_getaffinity(0))


def cpu() -> str:
  """Returns what the CPU calls itself, with the number of cores."""
  try:
    with open('/proc/cpuinfo', encoding='utf-8') as lines:
      name = next(line.split(':', 1)[1].strip() for line in lines
                  if line.startswith('model name'))
  except (OSError, StopIteration):
    name = 'CPU'
  return f'{name}, {num_cores()} cores'


def proc_gib(path: str, name: str) -> float:
  """Returns an amount of memory that Linux tells, GiB.

  Args:
    path: of a file below /proc.
    name: of its line, such as 'MemAvailable'.
  """
  with open(path, encoding='utf-8') as lines:
    return next(int(line.split()[1]) for line in lines
                if line.startswith(f'{name}:')) / 2**20


def versions() -> str:
  """Returns the versions of the libraries that decide on speed and memory."""
  return (f'TensorFlow {metadata.version("tensorflow")}, Model Garden '
          f'{metadata.version("tf-models-official")}, Python '
          f'{platform.python_version()}')
