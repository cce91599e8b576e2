"""Tests of the costs: multiply-adds by hand, parameters by building."""

import models
import pytest

from official_ext.configs import backbones
from official_ext.modeling import costs
from official_ext.modeling import specs


def spec_of(layout, image_size=224, **settings):
  return specs.resolve(
      backbones.FunnelViT(layout=layout, **settings), (image_size, image_size))


@pytest.mark.parametrize('layout, image_size, gmacs', [
    ('B12', 224, 17.56),
    ('B6-6', 224, 13.27),
    ('B4-4-4', 224, 10.42),
    ('B6(197)-6(50)', 224, 11.17),
    ('B8-8', 224, 17.60),
    ('B6-8-8', 224, 17.62),
    ('B7-7-7', 224, 18.00),
    ('B12', 384, 55.48),
    ('B6-6', 384, 41.42),
    ('B4-4-4', 384, 32.32),
])
def test_multiply_adds_of_vit_b16(layout, image_size, gmacs):
  count = costs.count_multiply_adds(spec_of(layout, image_size), 1_000)
  assert round(count / 1e9, 2) == gmacs


def test_multiply_adds_by_hand():
  # 2 x 2 patches of 4 x 4 px, width 8, MLP 16; layers of 5 and of 3 tokens.
  spec = spec_of('B1-1', 8, model_name='vit-nano4', hidden_size=8,
                 transformer=backbones.FunnelTransformer(
                     mlp_dim=16, num_heads=2))
  patches = 4 * 48 * 8
  first = 4 * 5 * 8 * 8 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16
  # The query has three tokens; keys and values come from all five.
  second = (2 * 3 + 2 * 5) * 8 * 8 + 2 * 3 * 5 * 8 + 2 * 3 * 8 * 16
  head = 8 * 10
  assert costs.count_multiply_adds(spec, 10) == patches + first + second + head


@pytest.mark.parametrize('settings', [
    dict(layout='B2-2'),
    dict(layout='B1-2(h128, m100)-1(h64)'),
    dict(layout='B2', pooler='gap'),
    dict(layout='B2-1', pooler='none', representation_size=24),
    dict(layout='B2-1', representation_size=24),
    dict(layout='B2-1', layer_scale_init_value=0.1),
])
def test_parameters_are_those_of_the_model(settings):
  backbone = models.build_backbone((20, 12), **settings)
  assert costs.count_parameters(
      backbone.spec, has_layer_scale='layer_scale_init_value' in settings
  ) == backbone.count_params()
