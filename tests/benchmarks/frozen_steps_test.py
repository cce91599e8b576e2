"""Tests of steps as programs: what is written, and that it can be run."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from official_ext.benchmarks import frozen_steps
from official_ext.benchmarks import settings as settings_lib
from official_ext.modeling import fused_attention

pytestmark = pytest.mark.long

SMALL = dict(model_name='vit-ti16', image_size=32, batch_size=2, xla=True)


def test_a_step_for_a_gpu(tmp_path):
  frozen_steps.freeze(
      settings_lib.Settings(layout='B1-1', dtype='bfloat16', **SMALL),
      tmp_path / 'step', (9, 0), with_values=False, multiply_adds=7)
  description = json.loads((tmp_path / 'step/step.json').read_text())
  program = (tmp_path / 'step/step.stablehlo').read_bytes()
  for target in (fused_attention.FORWARD_TARGET,
                 fused_attention.BACKWARD_TARGET):
    assert target.encode() in program
  assert description['multiply_adds'] == 7
  kinds = [one['kind'] for one in description['state']]
  assert kinds.count('benchmark_images') == kinds.count('benchmark_labels') == 1
  # Of every weight Adam keeps two means.
  assert kinds.count('slot') >= 2 * kinds.count('weight') > 50
  assert not (tmp_path / 'step/values.npz').exists()


def test_what_the_variables_hold_is_written(tmp_path):
  frozen_steps.freeze(
      settings_lib.Settings(layout='B1-1', **SMALL), tmp_path / 'step', None,
      with_values=True, multiply_adds=7)
  description = json.loads((tmp_path / 'step/step.json').read_text())
  first, second, third = description['results']
  # The learning rate of the first step is 0.
  assert first == pytest.approx(second, rel=1e-6) and third != second
  values = np.load(tmp_path / 'step/values.npz')
  for index, one in enumerate(description['state']):
    assert list(values[str(index)].shape) == one['shape']
    if one['kind'] == 'benchmark_labels':
      np.testing.assert_array_equal(values[str(index)], [1, 2])


def run(repository, command, *arguments):
  return subprocess.run(
      [sys.executable, repository / 'scripts/run_frozen_steps.py', command,
       *arguments], capture_output=True, text=True, check=False)


DESCRIPTION = {'platform': 'cpu', 'state': [], 'circumstances': 'train',
               'batch_size': 2, 'mode': 'train', 'results': [1.0]}


@pytest.mark.parametrize('arguments, description, message', [
    (['time'], json.dumps(DESCRIPTION)[:25],
     'step.json is not as it was written (Unterminated string'),
    (['time'], json.dumps({'state': [], 'mode': 'train', 'batch_size': 2}),
     '(it lacks platform, circumstances). Write the step anew.'),
    (['memory'], json.dumps({'kind': 'attention', 'platform': 'cpu'}),
     '(it lacks state, results, bias). Write the step anew.'),
    (['memory'], '[1]', '(it describes nothing). Write the step anew.'),
    (['check'], json.dumps(DESCRIPTION),
     'has no values.npz any more. Write it anew with --values'),
    (['time', '--rounds=0'], json.dumps(DESCRIPTION),
     'argument --rounds: 0 must be at least 1'),
    (['memory', '--output_csv=no/such/folder.csv'], json.dumps(DESCRIPTION),
     '--output_csv=no/such/folder.csv cannot be written: No such file'),
], ids=str)
def test_what_cannot_be_run_is_said_in_one_line(
    tmp_path, repository, arguments, description, message):
  pytest.importorskip('jax')
  (tmp_path / 'step.json').write_text(description)
  (tmp_path / 'step.stablehlo').touch()
  result = run(repository, arguments[0], tmp_path, *arguments[1:])
  assert result.returncode
  assert message in result.stderr.splitlines()[-1]
  assert 'Traceback' not in result.stderr


def rows_of(path):
  return list(csv.DictReader(path.read_text().splitlines()[4:]))


def test_jax_finds_what_tensorflow_does(tmp_path, repository):
  pytest.importorskip('jax')
  folders = [tmp_path / mode for mode in settings_lib.MODES]
  for folder in folders:
    frozen_steps.freeze(
        settings_lib.Settings(layout='B1-1', mode=folder.name, **SMALL), folder,
        None, with_values=True, multiply_adds=7_000_000)
  result = run(repository, 'check', *folders)
  assert result.returncode == 0, result.stdout + result.stderr
  assert result.stdout.count('by TensorFlow') == 6
  values = (folders[0] / 'values.npz').read_bytes()
  (folders[0] / 'values.npz').write_bytes(values[:1_000])
  result = run(repository, 'check', *folders)
  assert 'error: train failed: File is not a zip file' in result.stderr
  assert '1 of 2 failed' in result.stderr
  assert result.stdout.count('by TensorFlow') == 3
  path = tmp_path / 'a time.csv'
  run(repository, 'time', folders[1], '--rounds=1', '--steps=1',
      f'--output_csv={path}')
  assert path.read_text().startswith('# command: python ')
  assert f" '--output_csv={path}'\n" in path.read_text()
  row, = rows_of(path)
  assert (row['fused_calls'], float(row['speed_up'])) == ('0', 1)
  ms = float(row['ms'])
  assert float(row['images_per_second']) == pytest.approx(2_000 / ms)
  assert float(row['tflops']) == pytest.approx(2 * 7e6 * 2 / ms / 1e9)


def test_a_cpu_knows_what_the_scores_take_that_a_gpu_does_not_save(
    tmp_path, repository):
  pytest.importorskip('jax')
  folders = [tmp_path / attention for attention in ('plain', 'auto')]
  for folder in folders:
    frozen_steps.freeze(
        settings_lib.Settings(
            layout='B2', dtype='bfloat16', params_override=(
                'task.model.backbone.funnel_vit.fast_path.attention='
                f'{folder.name}'), **(SMALL | {'image_size': 224})),
        folder, (9, 0), with_values=False, multiply_adds=7)
  result = run(repository, 'memory', *folders,
               f'--output_csv={tmp_path / "memory.csv"}')
  assert result.returncode == 0, result.stdout + result.stderr
  plain, fused = rows_of(tmp_path / 'memory.csv')
  # The last layer computes the class token alone.
  assert (plain['fused_calls'], fused['fused_calls']) == ('0', '2')
  saved = float(plain['temporary_gib']) - float(fused['temporary_gib'])
  assert saved * 2**30 >= 2 * 3 * 197 * 197 * 2
  result = run(repository, 'time', *folders)
  assert 'plain is for a GPU, and JAX sees none here' in result.stderr
