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


def versions(has_pytorch: bool = False) -> str:
  """Returns the versions of the libraries that decide on speed and memory.

  Args:
    has_pytorch: whether PyTorch's models are beside this project's.
  """
  libraries = {'TensorFlow': 'tensorflow', 'Model Garden': 'tf-models-official'}
  if has_pytorch:
    libraries |= {'PyTorch': 'torch', 'timm': 'timm'}
  return ', '.join([
      *(f'{name} {metadata.version(package)}'
        for name, package in libraries.items()),
      f'Python {platform.python_version()}'])
