"""Tests of attention rollout against NumPy and by hand."""

import types

import attention_reference
import backbone_reference
import models
import numpy as np
import pytest
import tensorflow as tf
import tolerances

from official_ext.analysis import attention_rollout
from official_ext.configs import backbones
from official_ext.modeling import funnel_encoder
from official_ext.modeling import token_windows
from official_ext.params import experiment

pytestmark = pytest.mark.numerics

# 3 x 5 patches: odd along either axis, so that the last windows are short.
ODD = (12, 20)


def build(layout='B1-1-1', image_size=ODD, **settings):
  """A small model with random weights, and two images."""
  backbone = models.build_backbone(image_size, layout=layout, **settings)
  models.randomize(backbone)
  return backbone, models.random_images(2, image_size)


ALL_TOKENS = dict(fast_path=backbones.FastPath(class_token_only=False))


@pytest.mark.slow
@pytest.mark.parametrize('settings', [
    ALL_TOKENS,
    dict(pooling='max', **ALL_TOKENS),
    dict(pool_axes='grid', pool_query_only=False, **ALL_TOKENS),
    dict(pool_axes='grid', pooling='max'),
    dict(pooling='max', pool_query_only=False),
    dict(layout='B1-1', pooling='conv', attention_bias='proportional'),
    dict(pooling='weighted', attention_bias='proportional', pool_axes='grid',
         pool_query_only=False),
    dict(layout='B1-2(h32, a2)-1(s4)', **ALL_TOKENS),
    dict(pooler='gap', fast_path=backbones.FastPath(fused_layers=False)),
    pytest.param(dict(layout='B1-1', pooler='gap', class_token=True,
                      num_registers=2), marks=pytest.mark.long),
    dict(layout='B1-1', pooler='token_and_mean', num_registers=1),
    dict(layout='B1-1', pooler='token_and_distillation',
         distillation_token=True, norm_before_layers=True, patch_bias=False),
    pytest.param(dict(layout='B1-1', pooler='map', num_registers=1),
                 marks=pytest.mark.long),
], ids=str)
def test_agrees_with_numpy_and_rows_sum_to_one(settings):
  backbone, images = build(**settings)
  residual = 0.3
  result = attention_rollout.rollout(backbone, images, residual)
  spec = backbone.spec
  skip = spec.num_prefix_tokens
  class_token_only = spec.pooler == 'token' and 'fast_path' not in settings
  assert result.shape == (
      2, 1 if class_token_only else spec.blocks[-1].num_tokens,
      skip + 15)
  tolerances.assert_close(result.sum(axis=-1), 1, depth=4, length=16)
  assert result.min() >= 0
  maps = attention_rollout.patch_map(result, backbone.spec)
  assert maps.shape == (2, 3, 5)
  for image in range(2):
    expected = attention_reference.rollout(
        images[image].numpy().astype(np.float64), backbone, residual, settings)
    tolerances.assert_close(
        result[image], expected[:result.shape[1]], depth=4, length=128, scale=1)
    mean = expected[skip:, skip:].mean(axis=0)
    row = {
        'token': expected[0, skip:],
        'gap': mean,
        'token_and_mean': (expected[0, skip:] + mean) / 2,
        'token_and_distillation': expected[:2, skip:].mean(axis=0),
        'map': expected[:, skip:].mean(axis=0),
    }[spec.pooler]
    tolerances.assert_close(
        maps[image].ravel(), row, depth=4, length=128, scale=1)


def test_one_layer_is_its_attention():
  backbone, images = build('B1', **ALL_TOKENS)
  encoder = backbone.get_layer('encoder')
  tokens, _ = backbone_reference.embed(images[0].numpy(), backbone)
  attention = attention_reference.attention_weights(
      tokens, tokens, encoder._encoder_layers[0]).mean(axis=0)
  for residual, expected in (
      (0, attention), (0.5, (attention + np.eye(16)) / 2), (1, np.eye(16))):
    result = attention_rollout.rollout(backbone, images[:1], residual)
    tolerances.assert_close(result[0], expected, length=128)


def test_two_blocks_that_attend_evenly_by_hand():
  backbone, images = build('B1-1', (4, 16), **ALL_TOKENS)
  for layer in backbone.get_layer('encoder')._encoder_layers:
    attention = layer._attention_layer
    for variable in (attention._query_dense.kernel,
                     attention._query_dense.bias):
      variable.assign(tf.zeros_like(variable))
  result = attention_rollout.rollout(backbone, images[:1])
  # 5 tokens, each of itself by half and of all five by a tenth: 0.6 and 0.1.
  # Then half of all five again, which is a fifth of each, and half of the
  # pooled pair, which is 0.35 of either and 0.1 of the others.
  np.testing.assert_allclose(result[0], [
      [0.4, 0.15, 0.15, 0.15, 0.15],
      [0.15, 0.275, 0.275, 0.15, 0.15],
      [0.15, 0.15, 0.15, 0.275, 0.275]], atol=1e-6)


@pytest.mark.parametrize('layout, image_size, pool_axes', [
    ('B1-1-1', (56, 56), 'sequence'), ('B1-1(s4)-1', (60, 60), 'grid'),
    ('B1-1-1', (28, 28), 'grid'), *(
        pytest.param(*case, marks=pytest.mark.long) for case in (
            ('B1-1-1', (56, 56), 'grid'), ('B1-1(s4)-1', (60, 60), 'sequence'),
            ('B1-1-1', (28, 28), 'sequence')))])
def test_the_pools_alone_are_the_footprints(layout, image_size, pool_axes):
  backbone, images = build(
      layout, image_size, pool_axes=pool_axes, **ALL_TOKENS)
  # With nothing from the attention only the pools are left.
  result = attention_rollout.rollout(backbone, images[:1], residual=1)[0]
  tokens = token_windows.footprints(backbone.spec.blocks)[-1]
  assert result.shape == (
      1 + len(tokens), 1 + backbone.spec.grid[0] * backbone.spec.grid[1])
  np.testing.assert_array_equal(result[0], np.eye(result.shape[1])[0])
  for row, patches in zip(result[1:], tokens, strict=True):
    assert (np.flatnonzero(row) - 1).tolist() == patches
  np.testing.assert_allclose(result.sum(axis=1), 1, atol=1e-12)


def test_shares_of_pools_by_hand():
  # Three patch tokens of four channels after the class token.
  tokens = np.array([[[9, 9, 9, 9], [1, 5, 2, 7], [3, 5, 2, 0], [4, 4, 4, 4]]])
  pool = funnel_encoder.Pool(tokens, (3,), (2,))
  np.testing.assert_array_equal(
      attention_rollout.pooling_matrix(pool, 'mean', 1),
      [[[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]])
  # The second and the third channel are ties.
  np.testing.assert_array_equal(
      attention_rollout.pooling_matrix(pool, 'max', 1),
      [[[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]])
  tokens[0, 1, 1] = 6
  np.testing.assert_array_equal(
      attention_rollout.pooling_matrix(pool, 'max', 1)[0, 1],
      [0, 0.625, 0.375, 0])
  pool = funnel_encoder.Pool(tokens, (2, 2), (2, 2))
  np.testing.assert_array_equal(
      attention_rollout.pooling_matrix(pool, 'mean', 0),
      [[[0.25] * 4]])


def test_a_residual_out_of_range():
  backbone, images = build('B1')
  with pytest.raises(ValueError, match=r'residual is 1\.5, but must be 0 to 1'):
    attention_rollout.rollout(backbone, images, 1.5)


def test_another_backbone():
  params = experiment.load('funnel_vit_digits', params_override=(
      'task.model.backbone.type=vit,task.model.backbone.vit.model_name=vit-ti16'
  ))
  trained = types.SimpleNamespace(
      params=params, checkpoint='runs/vit/ckpt-9',
      model=types.SimpleNamespace(backbone=None))
  model = types.SimpleNamespace(name='ViT', trained=trained)
  with pytest.raises(ValueError) as caught:
    attention_rollout.traceable(model)
  text = str(caught.value)
  assert text.startswith("ViT has the backbone 'vit', which does not tell")
  for setting in ('task.init_checkpoint=runs/vit/ckpt-9',
                  'task.model.backbone.type=funnel_vit',
                  'task.model.backbone.funnel_vit.model_name=vit-ti16',
                  'task.model.backbone.funnel_vit.layout=B12'):
    assert setting in text
