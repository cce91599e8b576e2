"""What the machine computes fast, where TensorFlow does not choose."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import pathlib

import tensorflow as tf

_CPU_INFO = pathlib.Path('/proc/cpuinfo')
# Of an H100 and an H200.
_HOPPER = (9, 0)
_assumed: list[tuple[int, int]] = []


@contextlib.contextmanager
def assume_gpu(capability: tuple[int, int] = _HOPPER) -> Iterator[None]:
  """Has models built, and steps traced, as on a machine with a GPU.

  They cannot run here then; they can be written to files and run there.

  Args:
    capability: compute capability of the GPU.
  """
  _assumed.append(capability)
  try:
    yield
  finally:
    _assumed.pop()


def gpu_capabilities() -> list[tuple[int, int] | None]:
  """Returns the compute capability of each NVIDIA GPU; None: it has none."""
  if _assumed:
    return _assumed[-1:]
  return [
      tf.config.experimental.get_device_details(gpu).get('compute_capability')
      for gpu in tf.config.list_physical_devices('GPU')]


def prefers_float32_matmuls(cpu_info: pathlib.Path = _CPU_INFO) -> bool:
  """Returns whether bfloat16 products are better computed in float32.

  So it is on CPUs without a matrix unit for bfloat16 (AMX), those with bfloat16
  vector instructions (AVX512_BF16) among them: figures in
  docs/benchmarks.md. Accelerators have such units.

  Args:
    cpu_info: where Linux describes the CPU.

  Returns:
    Whether TensorFlow has nothing but a CPU, and one without such a unit.
  """
  if _assumed or any(device.device_type != 'CPU'
                     for device in tf.config.list_logical_devices()):
    return False
  return not (
      cpu_info.exists() and 'amx_bf16' in cpu_info.read_text().split())
