"""How much memory a compiled step takes beside weights and gradients.

XLA writes down where it put every buffer (`--xla_dump_to`). Temporary buffers
of the program that computes loss and gradients are the activations that it
keeps for the backward pass, and its work space. No accelerator is needed to
know them: the figure is the compiler's, the same in every run, for the device
that the program was compiled for.
"""

from __future__ import annotations

import dataclasses
import functools
import glob
import os
import re
import tempfile

from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process

_MIB = 2**20
_TEMPORARY = re.compile(
    r'^allocation \d+: size (\d+), preallocated-temp', re.MULTILINE)
_FILE = re.compile(
    r'\.(?P<backend>[^.]*?)_?after_optimizations-buffer-assignment\.txt$')


@dataclasses.dataclass(frozen=True)
class Activations:
  """The temporary memory of a compiled step.

  Attributes:
    mib: MiB.
    backend: what the program was compiled for, such as 'cpu'.
  """
  mib: float
  backend: str


@functools.cache
def measure(settings: settings_lib.Settings) -> Activations:
  """Compiles a step in a process of its own and reads XLA's buffers.

  Args:
    settings: what to compile; the same is compiled once.

  Returns:
    Its temporary memory.

  Raises:
    step_process.OutOfMemoryError: if the model does not fit.
    step_process.WorkerError: if the process fails, or XLA wrote nothing.
  """
  with tempfile.TemporaryDirectory(prefix='buffers-') as folder:
    compiled = settings.replace(xla=True, dump_dir=folder)
    with step_process.Worker(compiled) as process:
      process.run_steps(1)
    return read(folder)


def read(folder: str) -> Activations:
  """Reads the temporary memory from the files that XLA wrote.

  Args:
    folder: what `--xla_dump_to` named.

  Returns:
    The temporary memory of the step.

  Raises:
    step_process.WorkerError: if there is not exactly one file about the step.
  """
  paths = [
      path for path in glob.glob(os.path.join(folder, '*'))
      if step_process.DUMPED_FUNCTION in os.path.basename(path)
      and _FILE.search(path)]
  if len(paths) != 1:
    raise step_process.WorkerError(
        f'XLA was expected to describe the buffers of 1 program, but '
        f'described {len(paths)} in {folder}.')
  with open(paths[0], encoding='utf-8') as file:
    sizes = _TEMPORARY.findall(file.read())
  if not sizes:
    raise step_process.WorkerError(
        f'{os.path.basename(paths[0])} names no temporary buffer. This '
        'version of XLA writes it in another way.')
  return Activations(
      sum(int(size) for size in sizes) / _MIB,
      _FILE.search(paths[0])['backend'] or 'unknown')
