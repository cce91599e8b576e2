"""Peak memory of a run: of the devices, or of the process on CPU."""

from __future__ import annotations

import dataclasses
import resource

import tensorflow as tf

_GIB = 2**30
# ru_maxrss counts KiB on Linux.
_RSS_UNIT = 2**10


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
  resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
  return PeakMemory(resident / _GIB, 'resident')
