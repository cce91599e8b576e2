"""Tests of the memory that XLA's buffers tell."""

import pytest

from official_ext.benchmarks import activations
from official_ext.benchmarks import step_process


def test_buffers_are_read_from_xlas_words(tmp_path):
  name = (f'module_0001.a_inference_{step_process.DUMPED_FUNCTION}_1.'
          'sm_9.0_gpu_after_optimizations-buffer-assignment.txt')
  (tmp_path / name).write_text(
      'allocation 0: size 4096, parameter 0, shape |f32[1024]|:\n'
      'allocation 1: size 2097152, preallocated-temp:\n'
      ' value: dot (size=1,offset=0): f32[1]\n'
      'allocation 2: size 1048576, preallocated-temp:\n', encoding='utf-8')
  found = activations.read(str(tmp_path))
  assert found.mib == 3
  assert 'gpu' in found.backend
  (tmp_path / f'another.{name}').write_text('', encoding='utf-8')
  with pytest.raises(step_process.WorkerError, match='described 2'):
    activations.read(str(tmp_path))
