"""Tests of timm's ViT with pooling, where PyTorch and timm are installed."""

import importlib.util

import numpy as np
import pytest

if importlib.util.find_spec('triton'):
  pytest.skip(
      'triton, of builds of PyTorch for GPUs, crashes in a process that has '
      'imported TensorFlow', allow_module_level=True)
torch = pytest.importorskip('torch')
pytest.importorskip('timm')

# pylint: disable=g-import-not-at-top,wrong-import-position
from torch.nn import attention  # noqa: E402
from torch.utils import flop_counter  # noqa: E402

from official_ext.benchmarks import measure  # noqa: E402
from official_ext.benchmarks import peer_step  # noqa: E402
from official_ext.benchmarks import settings as settings_lib  # noqa: E402
from official_ext.benchmarks import torch_peers  # noqa: E402

# pylint: enable=g-import-not-at-top,wrong-import-position


def test_patches_are_averaged_in_pairs_and_one_that_is_left_over_stays():
  tokens = torch.tensor([9., 1, 3, 5, 7, 8]).reshape(1, 6, 1)
  np.testing.assert_array_equal(
      torch_peers.pool(tokens).flatten(), [9, 2, 6, 8])


def test_without_a_pool_it_is_timms_own():
  model = torch_peers.build_model('vit-ti16', 32, 'B12').eval()
  images = torch.randn(2, 3, 32, 32)
  with torch.no_grad():
    np.testing.assert_allclose(
        model(images), model.vit(images), rtol=1e-4, atol=1e-5)


def test_after_a_pool_pooled_queries_look_at_all_tokens():
  model = torch_peers.build_model('vit-ti16', 64, 'B6-6').eval()
  lengths = []
  for layer in model.vit.blocks:
    layer.mlp.register_forward_hook(
        lambda module, args, result: lengths.append(result.shape[1]))
  model(torch.randn(1, 3, 64, 64))
  assert lengths == [17] * 6 + [9] * 5 + [1]


@pytest.mark.parametrize('peer, layout', [
    (settings_lib.TIMM, settings_lib.MODEL_GARDEN),
    (settings_lib.TIMM_POOLED, 'B12'), (settings_lib.TIMM_POOLED, 'B6-6'),
    (settings_lib.TIMM_POOLED, 'B4-4-4')])
def test_it_has_the_parameters_and_the_products_of_our_layout(peer, layout):
  settings = settings_lib.Settings(
      layout=layout, peer=peer, model_name='vit-ti16')
  ours, = measure.begin([settings])
  model = torch_peers.build_model(
      settings.model_name, settings.image_size,
      layout if peer == settings_lib.TIMM_POOLED else None).eval()
  assert sum(one.numel() for one in model.parameters()) == ours.parameters
  # PyTorch counts the products of this form of attention alone.
  with attention.sdpa_kernel(attention.SDPBackend.MATH), torch.no_grad(), (
      flop_counter.FlopCounterMode(display=False)) as counter:
    model(torch.zeros(1, 3, settings.image_size, settings.image_size))
  assert counter.get_total_flops() == 2 * ours.multiply_adds


@pytest.mark.parametrize('layout, message', [
    ('B6(17)-6', 'layers alone'), ('B6-4', '10 layers, and 12')])
def test_layouts_that_timm_has_not(layout, message):
  with pytest.raises(ValueError, match=message):
    torch_peers.build_model('vit-ti16', 32, layout)


def test_a_step_trains():
  torch.manual_seed(0)
  model = torch_peers.build_model('vit-ti16', 32, 'B6-6')
  step = torch_peers.build_step(
      model, 32, 4, 'train', is_half=True, is_compiled=False, device='cpu')
  first = step().item()
  for _ in range(5):
    last = step().item()
  assert last < first


def test_a_benchmark_process_counts_its_steps():
  run, count, device, peak = peer_step.build(settings_lib.Settings(
      layout='B6-6', model_name='vit-ti16', image_size=32, batch_size=2,
      mode='eval', peer='timm_pooled'))
  assert run() == pytest.approx(run(), rel=1e-4)
  assert count() == 2
  if not torch.cuda.is_available():
    assert (device, peak()['peak_gib']) == ('cpu', None)
