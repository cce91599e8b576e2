"""Peak memory of a run: of the devices, or of the process on CPU."""

from __future__ import annotations

import dataclasses
import resource

import tensorflow as tf

_GIB = 2**30
_KIB = 2**10


@dataclasses.dataclass(frozen=True)
class PeakMemory:
  """The most memory that was held at once.

  Attributes:
    gib: GiB, or None where the device does not report it.
    kind: whose memory it is.
  """
  gib: float | None
  kind: str

  def __str__(self) -> str:
    amount = 'not reported' if self.gib is None else f'{self.gib:.2f} GiB'
    return f'{amount} ({self.kind})'


def measure() -> PeakMemory:
  """Measures the peak since the process began.

  Returns:
    On GPU and TPU the largest peak of any one device; on CPU the peak of the
    resident memory of the process.
  """
  for kind in ('TPU', 'GPU'):
    devices = tf.config.list_logical_devices(kind)
    if devices:
      try:
        gib = max(tf.config.experimental.get_memory_info(device.name)['peak']
                  for device in devices) / _GIB
      except (ValueError, tf.errors.OpError):
        gib = None
      return PeakMemory(gib, f'the fullest of {len(devices)} {kind}')
  try:
    resident = proc_gib('/proc/self/status', 'VmHWM')
  except (OSError, StopIteration):
    # Elsewhere. On Linux it would begin with the peak of the process that
    # started this one.
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resident = peak_kib * _KIB / _GIB
  return PeakMemory(resident, 'resident')


def proc_gib(path: str, name: str) -> float:
  """Returns an amount of memory that Linux tells, GiB.

  Args:
    path: of a file below /proc.
    name: of its line, such as 'MemAvailable'.
  """
  with open(path, encoding='utf-8') as lines:
    return next(int(line.split()[1]) for line in lines
                if line.startswith(f'{name}:')) * _KIB / _GIB
