"""What the machine computes fast, where TensorFlow does not choose."""

from __future__ import annotations

import pathlib

import tensorflow as tf

_CPU_INFO = pathlib.Path('/proc/cpuinfo')


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
  if any(device.device_type != 'CPU'
         for device in tf.config.list_logical_devices()):
    return False
  return not (
      cpu_info.exists() and 'amx_bf16' in cpu_info.read_text().split())
