"""Tests of steps as programs: what is written, and that it can be run."""

import json
import subprocess
import sys

import numpy as np
import pytest

from official_ext.benchmarks import frozen_steps
from official_ext.benchmarks import measure
from official_ext.benchmarks import settings as settings_lib
from official_ext.modeling import fused_attention

pytestmark = pytest.mark.long

SMALL = dict(model_name='vit-ti16', image_size=32, batch_size=2, xla=True)


def test_a_step_for_a_gpu(tmp_path):
  frozen_steps.freeze(
      settings_lib.Settings(layout='B1-1', dtype='bfloat16', **SMALL),
      tmp_path / 'step', (9, 0), with_values=False)
  description = json.loads((tmp_path / 'step/step.json').read_text())
  program = (tmp_path / 'step/step.stablehlo').read_bytes()
  for target in (fused_attention.FORWARD_TARGET,
                 fused_attention.BACKWARD_TARGET):
    assert target.encode() in program
  assert description['multiply_adds'] == measure.begin(
      [settings_lib.Settings(layout='B1-1', **SMALL)])[0].multiply_adds
  kinds = [one['kind'] for one in description['state']]
  assert kinds.count('benchmark_images') == kinds.count('benchmark_labels') == 1
  # Of every weight Adam keeps two means.
  assert kinds.count('slot') >= 2 * kinds.count('weight') > 50
  assert not (tmp_path / 'step/values.npz').exists()


def test_what_the_variables_hold_is_written(tmp_path):
  frozen_steps.freeze(
      settings_lib.Settings(layout='B1-1', **SMALL), tmp_path / 'step', None,
      with_values=True)
  description = json.loads((tmp_path / 'step/step.json').read_text())
  first, second, third = description['results']
  # The learning rate of the first step is 0.
  assert first == pytest.approx(second, rel=1e-6) and third != second
  values = np.load(tmp_path / 'step/values.npz')
  for index, one in enumerate(description['state']):
    assert list(values[str(index)].shape) == one['shape']
    if one['kind'] == 'benchmark_labels':
      np.testing.assert_array_equal(values[str(index)], [1, 2])


def test_jax_finds_what_tensorflow_does(tmp_path, repository):
  pytest.importorskip('jax')
  for mode in settings_lib.MODES:
    frozen_steps.freeze(
        settings_lib.Settings(layout='B1-1', mode=mode, **SMALL),
        tmp_path / mode, None, with_values=True)
  result = subprocess.run(
      [sys.executable, repository / 'scripts/run_frozen_steps.py', 'check',
       tmp_path / 'train', tmp_path / 'eval'],
      capture_output=True, text=True, check=False)
  assert result.returncode == 0, result.stdout + result.stderr
  assert result.stdout.count('by TensorFlow') == 6
