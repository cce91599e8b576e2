"""Tests of the search: against `costs`, layout by layout, and by hand."""

import itertools

import pytest

from official_ext.configs import backbones
from official_ext.layouts import search
from official_ext.modeling import costs
from official_ext.modeling import specs


def find(num_blocks=2, top=None, **settings):
  budgets = {name: settings.pop(name) for name in list(settings)
             if name in search.Budgets.__dataclass_fields__}
  return search.find(search.Budgets(**budgets), num_blocks, top=top,
                     **settings)


def spec_of(layout, image_size=(224, 224), **settings):
  return specs.resolve(
      backbones.FunnelViT(layout=layout, **settings), image_size)


def sizes(spec):
  """Layers and tokens of every block."""
  return tuple((block.num_layers, block.num_tokens) for block in spec.blocks)


@pytest.mark.slow
@pytest.mark.parametrize('num_blocks, settings', [
    (1, dict(max_gmacs=9)),
    (2, dict(max_gmacs=8)),
    (3, dict(max_gmacs=6, pool_axes='grid', strides=(4, 2), num_classes=10)),
    (3, dict(max_parameters_millions=60, hidden_size=1024, mlp_dim=1000)),
    (3, dict(max_activations_mib=0.4, model_name='vit-nano4',
             image_size=(20, 12), strides=(3, 2), max_layers=9)),
    (3, dict(max_activations_mib=0.4, model_name='vit-nano4',
             image_size=(20, 12), strides=(3, 2), pooling='weighted')),
    (2, dict(max_gmacs=20, max_activations_mib=500, batch_size=3,
             image_size=(384, 224), min_layers_per_block=3)),
])
def test_costs_are_those_of_the_layout_as_printed(num_blocks, settings):
  plans = find(num_blocks, **settings)
  assert plans.num_layouts == len(plans.nearest) > 5
  for plan in plans.nearest:
    spec = spec_of(
        plan.layout, **{name: value for name, value in settings.items()
                        if name in ('model_name', 'image_size', 'pool_axes',
                                    'pooling')})
    classes = settings.get('num_classes', 1_000)
    assert plan.multiply_adds == costs.count_multiply_adds(spec, classes)
    assert plan.num_parameters == costs.count_parameters(spec, classes)
    assert plan.saved_activations == costs.count_saved_activations(spec)


@pytest.mark.slow
def test_all_layouts_within_the_budgets_are_found_and_no_others():
  # Each is tried one by one: 12 layers, two pools, two strides.
  expected = {}
  for layers in itertools.product(range(1, 11), repeat=3):
    for strides in itertools.product((2, 4), repeat=2):
      if sum(layers) <= 12:
        first, second, third = layers
        spec = spec_of(
            f'B{first}-{second}(s{strides[0]})-{third}(s{strides[1]})')
        gmacs = costs.count_multiply_adds(spec, 1_000) / 1e9
        # Of 16 images in bfloat16.
        mib = costs.count_saved_activations(spec) * 16 * 2 / 2 ** 20
        if max(gmacs / 8, mib / 570) <= 1.0005:
          expected[sizes(spec)] = max(gmacs / 8, mib / 570)
  settings = dict(max_gmacs=8, max_activations_mib=570, batch_size=16,
                  bytes_per_value=2, strides=(2, 4), max_layers=12)
  plans = find(3, **settings)
  assert {sizes(spec_of(plan.layout)): plan.used
          for plan in plans.nearest} == pytest.approx(expected)
  assert len(plans.nearest) == len(expected) > 100
  # Both budgets are the tightest somewhere.
  assert len({plan.multiply_adds / 8e9 == pytest.approx(plan.used)
              for plan in plans.nearest}) == 2


@pytest.mark.slow
@pytest.mark.parametrize('settings', [
    dict(max_gmacs=20),
    dict(max_gmacs=12, strides=(2, 3, 4)),
    dict(max_parameters_millions=150),  # Many layouts cost the same.
])
def test_the_first_are_the_nearest(settings):
  every = find(3, **settings)
  ranks = [(-plan.used, plan.multiply_adds) for plan in every.nearest]
  assert ranks == sorted(ranks)
  assert len(ranks) > 1_100
  few = find(3, top=7, **settings)
  assert few.num_layouts == every.num_layouts
  assert few.nearest == every.nearest[:7]


def test_as_many_multiply_adds_as_vit_b16():
  two = find(2, max_gmacs=17.6)
  assert two.nearest[0].layout == 'B8(197)-8(99)'
  # 17.6046 is printed as 17.60.
  assert two.nearest[0].multiply_adds == 17_604_639_744
  assert two.nearest[0].used == pytest.approx(1.00026, abs=1e-5)
  assert two.max_layers == 36
  three = find(3, max_gmacs=17.65)
  assert 'B6(197)-8(99)-8(50)' in [plan.layout for plan in three.nearest[:20]]
  assert three.nearest[0].multiply_adds <= 17.659e9


def test_small_budgets_are_compared_to_four_digits():
  # B2-2-2 on 16 px: 0.0033084 GMACs, which is printed as 0.003308.
  settings = dict(model_name='vit-nano4', image_size=(16, 16), num_classes=10)
  digits = costs.count_multiply_adds(
      spec_of('B2-2-2', (16, 16), model_name='vit-nano4'), 10) / 1e9
  assert 0.003308 < digits < 0.0033085
  layouts = [[plan.layout for plan in find(3, max_gmacs=budget, **settings
                                           ).nearest]
             for budget in (0.003306, 0.003308)]
  assert 'B2(17)-2(9)-2(5)' not in layouts[0]
  assert 'B2(17)-2(9)-2(5)' in layouts[1]


@pytest.mark.parametrize('value, text', [
    (17.6, '17.60'), (1, '1.000'), (0.0033084, '0.003308'), (86.567, '86.57'),
    (999.94, '999.9'), (999.95, '1,000'), (12_345.6, '12,346'),
])
def test_four_digits(value, text):
  assert search.four_digits(value) == text


def test_four_blocks_of_48_layers():
  plans = find(4, max_gmacs=100, max_layers=48, top=20)
  # The ways to choose four positive numbers of at most 48 in sum.
  assert plans.num_layouts == 48 * 47 * 46 * 45 / 24
  assert plans.nearest[0].layout == 'B45(197)-1(99)-1(50)-1(26)'
  assert len(plans.nearest) == 20


def test_min_layers_per_block():
  plans = find(2, max_gmacs=17, min_layers_per_block=6)
  # B6-6 has 13.27 GMACs; a layer costs 1.45 in the first block, 0.72 in the
  # second.
  assert sorted(
      tuple(block.num_layers for block in spec_of(plan.layout).blocks)
      for plan in plans.nearest) == [
      (6, 6), (6, 7), (6, 8), (6, 9), (6, 10), (6, 11),
      (7, 6), (7, 7), (7, 8), (7, 9), (8, 6), (8, 7)]


@pytest.mark.parametrize('num_blocks, settings, message', [
    (2, dict(), 'no budget is set. Set at least one of --max_gmacs, '),
    (2, dict(max_gmacs=0), 'max_gmacs is 0, but must be above 0'),
    (2, dict(max_gmacs=float('nan')), 'max_gmacs is nan, but must'),
    (2, dict(max_gmacs=1), r'budget of 1.000 GMACs: the smallest, '
     r'B1\(197\)-1\(99\), needs 2.417 GMACs. Raise'),
    (2, dict(max_gmacs=20, max_activations_mib=10, batch_size=2,
             max_parameters_millions=10),
     'of 20.00 GMACs and 10.00 M parameters and 10.00 MiB of activations of 2 '
     'images: .* needs 2.417 GMACs and 15.69 M parameters and 44.19 MiB'),
    (10, dict(max_gmacs=9), '14 x 14 patches can be pooled at most 8 times, '
     r'with strides \[2\].* Use at most 9 blocks'),
    (2, dict(max_gmacs=9, model_name='vit-b17'), "'vit-b17', but must be one"),
    (2, dict(max_gmacs=9, pool_axes='rows'), "pool_axes is 'rows'"),
    (2, dict(max_gmacs=9, image_size=(8, 8)), 'smaller than a patch'),
    (2, dict(max_gmacs=9, image_size=(40, 40)), 'Choose 32 or 48'),
    (2, dict(max_gmacs=9, strides=(2, 1)), 'stride 1 pools nothing'),
    (2, dict(max_gmacs=9, strides=(2, 500)), 'stride 500 is larger'),
    (2, dict(max_gmacs=9, strides=(2, 3), pool_axes='grid'),
     'stride 3 has no window on the grid. Use 2'),
    (2, dict(max_gmacs=9, hidden_size=100), 'not a multiple of the head size'),
    (2, dict(max_gmacs=9, mlp_dim=0), 'mlp_dim is 0'),
    (2, dict(max_gmacs=9, min_layers_per_block=8, max_layers=15),
     'max_layers is 15, but must be 16 .* to 1000'),
    (2, dict(max_gmacs=9, max_layers=1_001), 'max_layers is 1001'),
    (8, dict(max_gmacs=100), '30,260,340 choices .* lower max_layers'),
])
def test_errors_say_what_to_type(num_blocks, settings, message):
  with pytest.raises(ValueError, match=message):
    find(num_blocks, **{'top': 5, **settings})
