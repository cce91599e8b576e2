"""Peak memory of a run: of the devices, or of the process on CPU."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import resource

import tensorflow as tf

_GIB = 2**30
_KIB = 2**10
# Where Linux tells of this process.
_STATUS = pathlib.Path('/proc/self/status')
_PEAK = re.compile(r'^VmHWM:\s*(\d+) kB$', re.MULTILINE)


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
  return PeakMemory(_peak_kib() * _KIB / _GIB, 'resident')


def _peak_kib() -> int:
  """Returns the most memory that this process had resident, KiB."""
  match = _PEAK.search(_STATUS.read_text()) if _STATUS.exists() else None
  if match:
    return int(match[1])
  # Elsewhere. On Linux it would begin with the peak of the process that
  # started this one.
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
