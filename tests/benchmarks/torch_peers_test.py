"""Tests of timm's ViT with pooling, where PyTorch and timm are installed."""

import importlib.util
import json

import commands
import numpy as np
import pytest

from official_ext.benchmarks import measure
from official_ext.benchmarks import settings as settings_lib

pytestmark = [pytest.mark.long, pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ('torch', 'timm'))),
    reason='PyTorch and timm are not installed: the extra peers')]


# What the command refuses, and what it says.
REFUSED = {
    '--sizes=224': '224 must be sides of images, px, each with its batch',
    '--sizes=224:0': '0 must be a whole number of at least 1',
    '--layouts=B4,vit': 'vit: of PyTorch there are layouts that name layers',
    '--modes=trian': 'trian must be train or eval, or both',
    '--rounds=0': '0 must be a whole number of at least 1',
    '--output_csv=/dev/null/x.csv': 'cannot be written: Not a directory',
}


@pytest.fixture(name='found', scope='module')
def _found(repository):
  """What a process without TensorFlow finds."""
  result = commands.run_alone(
      'tests/torch_peers_process.py', *REFUSED, cwd=repository,
      PYTHONPATH=str(repository))
  assert result.returncode == 0, result.stderr
  return json.loads(result.stdout)


def test_patches_are_averaged_in_pairs_and_one_that_is_left_over_stays(found):
  assert found['pool'] == [9, 2, 6, 8]


def test_without_a_pool_it_is_timms_own(found):
  np.testing.assert_allclose(*found['from_timm'], rtol=1e-4, atol=1e-5)


def test_after_a_pool_pooled_queries_look_at_all_tokens(found):
  assert found['lengths'] == [17] * 6 + [9] * 5 + [1]


@pytest.mark.parametrize('peer, layout', [
    (settings_lib.TIMM, settings_lib.MODEL_GARDEN),
    (settings_lib.TIMM_POOLED, 'B12'), (settings_lib.TIMM_POOLED, 'B6-6'),
    (settings_lib.TIMM_POOLED, 'B4-4-4')])
def test_it_has_the_parameters_and_the_products_of_our_layout(
    found, peer, layout):
  ours, = measure.begin([settings_lib.Settings(
      layout=layout, peer=peer, model_name='vit-ti16')])
  assert found['counts'][
      'None' if peer == settings_lib.TIMM else layout] == [
          ours.parameters, 2 * ours.multiply_adds]


@pytest.mark.parametrize('layout, message', [
    ('B6(17)-6', 'layers alone'), ('B6-4', '10 layers, and 12')])
def test_layouts_that_timm_has_not(found, layout, message):
  assert message in found['refusals'][layout]


def test_a_step_trains(found):
  assert found['losses'][-1] < found['losses'][0]


def test_a_benchmark_process_counts_its_steps(found):
  first, second, count, device, peak = found['benchmark_process']
  assert first == pytest.approx(second, rel=1e-4) and count == 2
  assert (device, peak) == ('cpu', {'peak_gib': None, 'peak_of': ''})


def test_without_memory_it_is_a_row(found):
  assert found['without_memory'] == ['OutOfMemoryError', 'WorkerError']


def test_tensorflow_is_not_imported_beside_triton(found):
  assert not found['has_tensorflow']


@pytest.mark.parametrize('flag', REFUSED)
def test_what_cannot_be_measured_is_said_in_one_line(found, flag):
  assert REFUSED[flag] in found['last_lines'][flag]
