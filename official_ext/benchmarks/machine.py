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


def versions() -> str:
  """Returns the versions of the libraries that decide on speed and memory."""
  return (f'TensorFlow {metadata.version("tensorflow")}, Model Garden '
          f'{metadata.version("tf-models-official")}, Python '
          f'{platform.python_version()}')
