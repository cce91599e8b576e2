"""Tests of the costs: by hand, and parameters by building."""

import models
import pytest

from official_ext.configs import backbones
from official_ext.modeling import costs
from official_ext.modeling import specs


def spec_of(layout, image_size=224, **settings):
  return specs.resolve(
      backbones.FunnelViT(layout=layout, **settings), (image_size, image_size))


def small(**settings):
  """2 x 2 patches of 4 x 4 px, width 8, two heads, MLP 16."""
  return spec_of('B1-1', 8, model_name='vit-nano4', hidden_size=8,
                 transformer=backbones.FunnelTransformer(
                     mlp_dim=16, num_heads=2), **settings)


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
  # Layers of five and of three tokens.
  spec = small()
  patches = 4 * 48 * 8
  first = 4 * 5 * 8 * 8 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16
  # The query has three tokens; keys and values come from all five.
  second = (2 * 3 + 2 * 5) * 8 * 8 + 2 * 3 * 5 * 8 + 2 * 3 * 8 * 16
  head = 8 * 10
  assert costs.count_multiply_adds(spec, 10) == patches + first + second + head


def test_multiply_adds_of_an_attention_pooling_head_by_hand():
  plain, pooled = small(pooler='gap'), small(pooler='map')
  # The query is of the probe alone; keys and values come from two tokens.
  probe = 2 * 1 * 8 * 8 + 2 * 2 * 8 * 8 + 2 * 1 * 2 * 8 + 2 * 1 * 8 * 16
  assert costs.count_multiply_adds(pooled, 10) == (
      costs.count_multiply_adds(plain, 10) + probe)


def test_multiply_adds_of_what_the_head_reads_by_hand():
  token = costs.count_multiply_adds(small(), 10)
  # Two tokens side by side; a projection to three features before the head.
  assert costs.count_multiply_adds(
      small(pooler='token_and_mean'), 10) == token + 8 * 10
  assert costs.count_multiply_adds(
      small(pooler='token_and_mean', projection_size=3), 10) == (
          token - 8 * 10 + 16 * 3 + 3 * 10)


def test_registers_cost_as_much_as_a_class_token():
  assert costs.count_multiply_adds(
      small(pooler='gap', num_registers=1)) == costs.count_multiply_adds(
          small())
  assert costs.count_saved_activations(
      small(pooler='gap', num_registers=1)) == costs.count_saved_activations(
          small())


# A pool of four patches by two, of width 8.
@pytest.mark.parametrize('settings, parameters, multiply_adds, saved', [
    (dict(pooling='conv'), 2 * 8, 4 * 8, 0),
    # The unpooled tokens are no keys, and saved for the kernel alone.
    (dict(pooling='conv', pool_query_only=False), 2 * 8, 4 * 8, 4 * 8),
    # The scores, and the weighted sum; normalised tokens and scores twice.
    (dict(pooling='weighted'), 8, 2 * 4 * 8, 4 * 8 + 2 * 4),
    (dict(pooling='weighted', pool_query_only=False), 8, 2 * 4 * 8,
     2 * 4 * 8 + 2 * 4),
    (dict(attention_bias='proportional'), 0, 0, 0),
], ids=str)
def test_what_learned_pools_add_by_hand(
    settings, parameters, multiply_adds, saved):
  plain = small(**{name: value for name, value in settings.items()
                   if name == 'pool_query_only'})
  added = small(**settings)
  assert [count(added) - count(plain) for count in (
      costs.count_parameters, costs.count_multiply_adds,
      costs.count_saved_activations)] == [parameters, multiply_adds, saved]


def test_one_block_has_no_pools_to_learn():
  plain, learned = (spec_of('B12', pooling=pooling)
                    for pooling in ('mean', 'conv'))
  for count in (costs.count_parameters, costs.count_multiply_adds,
                costs.count_saved_activations):
    assert count(plain) == count(learned)


def test_what_learned_pools_cost_of_vit_b16():
  # Of 10.42 GMACs and 86.6 M parameters.
  plain = spec_of('B4-4-4')
  for pooling, multiply_adds, parameters in (
      ('conv', (196 + 98) * 768, 2 * 2 * 768),
      ('weighted', 2 * (196 + 98) * 768, 2 * 768)):
    learned = spec_of('B4-4-4', pooling=pooling)
    assert costs.count_multiply_adds(learned) == (
        costs.count_multiply_adds(plain) + multiply_adds)
    assert costs.count_parameters(learned) == (
        costs.count_parameters(plain) + parameters)


@pytest.mark.parametrize('layout, gmacs', [
    ('B12', 16.35),
    ('B6-6', 12.67),
    ('B4-4-4', 10.13),
])
def test_multiply_adds_with_the_class_token_alone(layout, gmacs):
  count = costs.count_multiply_adds(
      spec_of(layout), 1_000, last_layer_class_token_only=True)
  assert round(count / 1e9, 2) == gmacs


@pytest.mark.parametrize('settings, keys', [
    (dict(pool_query_only=True), 5),
    (dict(pool_query_only=False), 3),
])
def test_the_class_token_alone_in_a_pooled_layer_by_hand(settings, keys):
  spec = small(**settings)
  cut = costs.count_multiply_adds(spec, 10, last_layer_class_token_only=True)
  # Of three tokens two are spared.
  assert costs.count_multiply_adds(spec, 10) - cut == 2 * (
      2 * 8 * 8 + 2 * keys * 8 + 2 * 8 * 16)


@pytest.mark.parametrize('settings', [
    dict(pooler='gap'), dict(pooler='gap', class_token=True),
    dict(pooler='token_and_mean')], ids=str)
def test_where_more_than_the_class_token_is_read_nothing_is_cut(settings):
  spec = small(**settings)
  assert costs.count_multiply_adds(
      spec, 10, last_layer_class_token_only=True
  ) == costs.count_multiply_adds(spec, 10)


@pytest.mark.parametrize('layout, image_size, saving', [
    ('B6-6', 224, 26.6),
    ('B4-4-4', 224, 43.1),
    ('B6(197)-6(50)', 224, 38.0),
    ('B6-6', 384, 29.7),
    ('B4-4-4', 384, 46.9),
])
def test_fewer_saved_activations(layout, image_size, saving):
  saved = costs.count_saved_activations(spec_of(layout, image_size))
  baseline = costs.count_saved_activations(spec_of('B12', image_size))
  assert 100 * (1 - saved / baseline) == pytest.approx(saving, abs=0.2)


@pytest.mark.parametrize('settings, keys', [
    (dict(pool_query_only=True), 5),
    (dict(pool_query_only=False), 3),
])
def test_kept_activations_by_hand(settings, keys):
  embedding = 3 * 5 * 8
  first = 4 * 5 * 8 + 5 * (4 * 8 + 2 * 16) + 2 * 2 * 5 * 5
  second = 4 * keys * 8 + 3 * (4 * 8 + 2 * 16) + 2 * 2 * 3 * keys
  assert costs.count_saved_activations(small(**settings)) == (
      embedding + first + second)
  assert costs.count_saved_activations(
      small(norm_before_layers=True, **settings)) == (
          embedding + 5 * 8 + first + second)


def test_kept_activations_of_blocks_of_different_widths():
  # 4 x 4 patches, vit-nano4: width 64, MLP 256, four heads.
  spec = spec_of('B1-1(h128)', 16, model_name='vit-nano4')
  embedding = 3 * 17 * 64
  first = 4 * 17 * 64 + 17 * (4 * 64 + 2 * 256) + 2 * 4 * 17 * 17
  projection = 17 * 64
  second = 4 * 17 * 128 + 9 * (4 * 128 + 2 * 256) + 2 * 2 * 9 * 17
  assert costs.count_saved_activations(spec) == (
      embedding + first + projection + second)


@pytest.mark.parametrize('settings', [
    dict(layout='B2-2'),
    dict(layout='B1-2(h128, m100)-1(h64)'),
    dict(layout='B2', pooler='gap'),
    dict(layout='B2-1', pooler='none', representation_size=24),
    dict(layout='B2-1', representation_size=24),
    dict(layout='B2-1', layer_scale_init_value=0.1),
    dict(layout='B1-1(s4, h128)-1(h64)', pooling='conv', pool_axes='grid'),
    dict(layout='B1-1(s3, h128)', pooling='weighted'),
    dict(layout='B1', pooling='conv'),
])
def test_parameters_are_those_of_the_model(settings):
  backbone = models.build_backbone((20, 12), **settings)
  assert costs.count_parameters(backbone.spec) == backbone.count_params()
