"""What a process holds while it trains, and how fast that grows.

Linux tells it of any process, so that what is measured does not take part.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import os

import numpy as np

from official_ext.training import memory

_MIB_PER_GIB = 2**10
# While it compiles, evaluates and saves for the first time, a process takes
# memory that it keeps: that is no growth.
_WARM_UP_SHARE = 1 / 3


@dataclasses.dataclass(frozen=True)
class Sample:
  """What a process held at one moment.

  Attributes:
    step: the training step that it had reached.
    resident_mib: resident memory, MiB.
    threads: how many there were.
    open_files: how many file descriptors, sockets and pipes among them.
  """
  step: int
  resident_mib: float
  threads: int
  open_files: int


@dataclasses.dataclass(frozen=True)
class Growth:
  """How a training's holdings changed after its first third.

  Attributes:
    mib_per_1000_steps: slope of a straight line fitted to the resident memory.
    resident_mib: the first sample after the first third, and the last one.
    threads: likewise.
    open_files: likewise.
  """
  mib_per_1000_steps: float
  resident_mib: tuple[float, float]
  threads: tuple[int, int]
  open_files: tuple[int, int]


def measure(process_id: int, step: int) -> Sample:
  """Measures a process.

  Args:
    process_id: of a process of the same user.
    step: the training step that it has reached.

  Returns:
    What it holds now.

  Raises:
    OSError: if the process is gone, or this is not Linux.
  """
  folder = f'/proc/{process_id}'
  return Sample(
      step=step,
      resident_mib=_MIB_PER_GIB * memory.proc_gib(f'{folder}/status', 'VmRSS'),
      threads=len(os.listdir(f'{folder}/task')),
      open_files=len(os.listdir(f'{folder}/fd')))


def growth(samples: Sequence[Sample]) -> Growth:
  """Returns how fast a training grows.

  Args:
    samples: in the order of their steps, of a training from step 0 on.

  Raises:
    ValueError: if fewer than two steps were sampled after the first third.
  """
  begin = samples[-1].step * _WARM_UP_SHARE
  late = [sample for sample in samples if sample.step > begin]
  if len({sample.step for sample in late}) < 2:
    raise ValueError(
        'a slope needs samples at two steps after the first third, but there '
        f'are {[sample.step for sample in samples]}. Train longer.')
  slope, _ = np.polyfit([sample.step for sample in late],
                        [sample.resident_mib for sample in late], deg=1)
  first, last = late[0], late[-1]
  return Growth(
      1000 * float(slope), (first.resident_mib, last.resident_mib),
      (first.threads, last.threads), (first.open_files, last.open_files))
