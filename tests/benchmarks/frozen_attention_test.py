"""Tests of attention alone as programs for a GPU."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from official_ext.benchmarks import frozen_attention
from official_ext.modeling import fused_attention

HOPPER = (9, 0)


def freeze(folder, capability, **changes):
  case = frozen_attention.Case(**{
      'num_query_tokens': 50, 'num_key_tokens': 99, 'dtype': 'bfloat16',
      'has_bias': False, 'is_fused': bool(capability), **changes})
  frozen_attention.freeze(case, folder / case.name, capability)
  description = json.loads((folder / case.name / 'step.json').read_text())
  return description, (folder / case.name / 'step.stablehlo').read_bytes()


def test_a_gpu_is_asked_for_every_length_in_both_types():
  cases = list(frozen_attention.cases(is_fused=True))
  lengths = {(case.num_query_tokens, case.num_key_tokens) for case in cases}
  assert {(length, length) for length in (197, 99, 50, 577, 289, 145)} | {
      (99, 197), (50, 99), (289, 577), (145, 289)} == lengths
  assert {case.dtype for case in cases} == {'bfloat16', 'float16'}
  assert len({case.name for case in cases}) == len(cases) == 2 * (10 + 4)
  assert {max(case.num_query_tokens, case.num_key_tokens)
          for case in frozen_attention.cases(True, longest=99)} == {50, 99}


@pytest.mark.long
def test_of_a_gpu_the_kernel_computes_it_and_of_a_cpu_plain_arithmetic(
    tmp_path):
  for capability in (HOPPER, None):
    description, program = freeze(tmp_path / str(capability), capability)
    for target in (fused_attention.FORWARD_TARGET,
                   fused_attention.BACKWARD_TARGET):
      assert (target.encode() in program) == bool(capability)
    assert description['is_fused'] == bool(capability)
    assert [one['shape'] for one in description['state']] == [
        [2, 12, 50, 64], [2, 12, 99, 64], [2, 12, 99, 64], [2, 12, 50, 64]]
    assert description['bias'] is None


@pytest.mark.long
def test_a_bias_is_written_as_the_logarithm_of_patches(tmp_path):
  description, program = freeze(tmp_path, HOPPER, has_bias=True)
  np.testing.assert_allclose(
      description['bias'][:5], np.log([1, 2, 3, 4, 1]), rtol=1e-6)
  assert fused_attention.BACKWARD_TARGET.encode() in program


def test_an_old_gpu_has_no_kernel(tmp_path):
  with pytest.raises(ValueError, match='capability 7.5'):
    freeze(tmp_path, (7, 5))


@pytest.mark.long
def test_jax_finds_plain_attention_as_exact_as_its_own(tmp_path, repository):
  pytest.importorskip('jax')
  for dtype in frozen_attention.DTYPES:
    for has_bias in (False, True):
      freeze(tmp_path, None, dtype=dtype, has_bias=has_bias)
  # One that is taken for another, so that it is not exact.
  wrong = tmp_path / 'wrong'
  shutil.copytree(tmp_path / 'attention-50x99-bfloat16-biased', wrong)
  description = json.loads((wrong / 'step.json').read_text())
  (wrong / 'step.json').write_text(json.dumps({**description, 'bias': None}))
  result = subprocess.run(
      [sys.executable, repository / 'scripts/check_frozen_attention.py',
       *tmp_path.iterdir(), f'--output_csv={tmp_path}/parity.csv'],
      capture_output=True, text=True, check=False)
  assert result.returncode == 1 and '1 of 5 failed' in result.stderr
  lines = (tmp_path / 'parity.csv').read_text().splitlines()
  passed = [row['passed'] == 'True' for row in csv.DictReader(lines[4:])
            if row['attention'] != 'wrong']
  assert passed == [True] * 4 * 4
