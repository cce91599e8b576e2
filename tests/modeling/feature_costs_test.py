"""Tests of what feature maps cost, by hand."""

import pytest

from official_ext.configs import backbones
from official_ext.modeling import costs
from official_ext.modeling import specs

COUNTS = (costs.count_parameters, costs.count_multiply_adds,
          costs.count_saved_activations)


def spec_of(layout, image_size=8, maps=None, **settings):
  return specs.resolve(backbones.FunnelViT(
      layout=layout, feature_maps=backbones.FeatureMaps(**(maps or {})),
      **settings), (image_size, image_size))


def added(layout, maps, **settings):
  """What maps add to 2 x 2 patches of width 8, MLP 16, two heads."""
  settings = dict(
      model_name='vit-nano4', hidden_size=8, pooler='gap',
      transformer=backbones.FunnelTransformer(mlp_dim=16, num_heads=2),
      **settings)
  return [count(spec_of(layout, maps=maps, **settings)) -
          count(spec_of(layout, **settings)) for count in COUNTS]


def test_a_recovery():
  # A layer of four tokens, and the LayerNorm of what it returns.
  parameters = 4 * (8 * 8 + 8) + 8 * 16 + 16 + 16 * 8 + 8 + 3 * 2 * 8
  multiply_adds = 4 * 4 * 8 * 8 + 2 * 4 * 4 * 8 + 2 * 4 * 8 * 16
  saved = 4 * 4 * 8 + 4 * (4 * 8 + 2 * 16) + 2 * 2 * 4 * 4 + 4 * 8
  maps = dict(levels=[2], recovery_layers=1)
  assert added('B1', maps) == [parameters, multiply_adds, saved]
  # And the LayerNorm of the first block's tokens.
  assert added('B1-1', maps) == [
      parameters + 2 * 8, multiply_adds, saved + 4 * 8]
  assert added('B1-1', maps, final_norm='none') == [
      parameters, multiply_adds, saved]


def test_a_recovery_without_layers():
  maps = dict(levels=[2], recovery_layers=0)
  assert added('B1', maps) == [0, 0, 0]
  assert added('B1-1', maps) == [2 * 8, 0, 4 * 8]
  # Two tokens of width 64 become as many of width 8.
  assert added('B1-1(h64)', maps) == [
      65 * 8 + 2 * 8, 2 * 64 * 8, 2 * 64 + 4 * 8]


def test_maps_of_blocks():
  maps = dict(levels=[3], recovery_layers=5)
  # The last block's are the encoder's tokens.
  assert added('B1-1(s4)', maps, pool_axes='grid') == [0, 0, 0]
  settings = dict(model_name='vit-nano4', pool_axes='grid', pooler='gap',
                  layout='B1-1(s4)-1(s4)', image_size=16)
  with_maps, without = (spec_of(maps=one, **settings) for one in (maps, {}))
  # Four tokens of width 64 pass a LayerNorm.
  assert [count(with_maps) - count(without) for count in COUNTS] == [
      2 * 64, 0, 4 * 64]


def test_a_pyramid():
  def pyramid(*levels):
    return added('B1', dict(levels=list(levels), source='pyramid',
                            recovery_layers=0, pyramid_filters=3))

  out = [3 * 3 * 9 + 4 * 3, 3 * 3 * 9, 3 * 3]  # One place, without the first.
  # Of the patches' own: four places, and the map is saved once.
  assert pyramid(2) == [8 * 3 + out[0], 4 * (8 * 3 + out[1]),
                        4 * 8 + 4 * out[2]]
  # Coarser: one place of width 8.
  assert pyramid(3) == [8 * 3 + out[0], 8 * 3 + out[1], 4 * 8 + 8 + out[2]]
  # Finer: 16 places of width 4, of 2 x 2 x 8 x 4 multiply-adds a patch.
  assert pyramid(1) == [
      4 * 8 * 4 + 4 + 4 * 3 + out[0], 4 * 4 * 8 * 4 + 16 * (4 * 3 + out[1]),
      4 * 8 + 16 * 4 + 16 * out[2]]


def test_two_steps_finer():
  spec, plain = (spec_of('B12', 224, maps=maps) for maps in (
      dict(levels=[2], source='pyramid', recovery_layers=0), {}))
  found = [count(spec) - count(plain) for count in COUNTS]
  out = 256 * 256 * 9
  assert found == [
      4 * 768 * 384 + 384 + 2 * 384 + 4 * 384 * 192 + 192 + 192 * 256 + out +
      4 * 256,
      196 * (4 * 768 * 384 + 4 * 4 * 384 * 192) + 3136 * (192 * 256 + out),
      196 * 768 + 3 * 784 * 384 + 3136 * 192 + 3 * 3136 * 256]


@pytest.mark.parametrize('maps', [
    {}, dict(source='pyramid', recovery_layers=5, pyramid_filters=7)])
def test_nothing_where_nobody_asks(maps):
  assert added('B1-1', maps) == [0, 0, 0]


def test_the_last_layer_computes_every_token_for_maps():
  spec = spec_of('B6-6', 224, maps=dict(levels=[4], recovery_layers=0))
  assert costs.count_multiply_adds(
      spec, last_layer_class_token_only=True) == costs.count_multiply_adds(
          spec) == costs.count_multiply_adds(spec_of('B6-6', 224))
