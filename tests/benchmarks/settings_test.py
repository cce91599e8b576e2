"""Tests of the settings of a benchmark process."""

import importlib.util

import pytest

from official_ext.benchmarks import settings as settings_lib


def test_layouts_are_split_outside_of_parentheses():
  assert settings_lib.split_layouts('B12,B6(197, m4096)-6(99), B4-4-4') == [
      'B12', 'B6(197, m4096)-6(99)', 'B4-4-4']

GOOD = dict(layouts='B12', batch_sizes=[8], dtypes=['float32'], xla=['off'])


def test_every_combination_has_its_baseline():
  found = settings_lib.combine(
      settings_lib.Settings(layout='', image_size=384),
      'B12, B6(197, m4096)-6, B12', [8, 16, 8], ['float32', 'bfloat16'],
      ['off', 'on'])
  assert len(found) == 2 * 2 * 2 * 3
  assert [one.layout for one in found[:4]] == [
      'vit', 'B12', 'B6(197, m4096)-6', 'vit']
  assert {one.image_size for one in found} == {384}
  assert len({one.circumstances for one in found}) == 8


def test_poolings_side_by_side():
  found = settings_lib.combine(
      settings_lib.Settings(layout=''), 'B2,B1-1', [8], ['float32'], ['off'],
      ['mean', 'conv', 'mean'], ['none', 'proportional'])
  assert [(one.layout, one.pooling, one.attention_bias) for one in found] == [
      ('vit', '', ''), ('B2', '', ''), ('B1-1', 'mean', 'none'),
      ('B1-1', 'mean', 'proportional'), ('B1-1', 'conv', 'none'),
      ('B1-1', 'conv', 'proportional')]
  assert len({one.circumstances for one in found}) == 1


def test_kinds_of_feature_maps_have_baselines_of_their_own():
  found = settings_lib.combine(
      settings_lib.Settings(layout='', model_name='vit-b32'), 'B2', [8],
      ['float32'], ['off'], feature_maps=['none', 'recovered_2', 'pyramid'])
  assert [(one.layout, one.feature_maps) for one in found] == [
      (layout, maps) for maps in ('none', 'recovered_2', 'pyramid')
      for layout in ('vit', 'B2')]
  assert len({one.circumstances for one in found}) == 3
  models = [settings_lib.load_experiment(one).task.model for one in found]
  # Patches of 32 px are level 5.
  maps = [model.backbone.funnel_vit.feature_maps for model in models]
  assert [one.levels for one in maps[1::2]] == [[], [5], [3, 4, 5, 6]]
  assert (maps[3].source, maps[3].recovery_layers) == ('blocks', 2)
  assert (maps[5].source, maps[5].recovery_layers) == ('pyramid', 0)
  assert [model.head.level for model in models[2:]] == [5, 5, 5, 3]
  assert models[2].backbone.vit.output_2d_feature_maps
  assert not hasattr(models[0], 'head')


@pytest.mark.parametrize('flag, message', [
    ({'feature_maps': ['recovered']}, '--feature_maps=recovered: must be none '
     'or recovered_0 or recovered_2 or pyramid, or several with'),
    ({'layouts': 'vit,B12'}, 'without being named'),
    ({'layouts': 'B12,,B6-6'}, 'name layouts such as'),
    ({'layouts': "'B6-6'"}, '--layouts: layout .* does not begin with'),
    ({'dtypes': ['float64']}, '--dtype=float64'),
    ({'xla': ['yes']}, '--xla=yes'),
])
def test_bad_flags(flag, message):
  with pytest.raises(ValueError, match=message):
    settings_lib.combine(
        settings_lib.Settings(layout=''), **{**GOOD, **flag})


def peers_of(layouts, peers, monkeypatch, found=True, **common):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: found)
  return settings_lib.with_peers(
      settings_lib.combine(
          settings_lib.Settings(layout='', **common), layouts, [8, 16],
          ['float32'], ['on']), peers)


def test_a_peer_of_several_poolings_is_one_row(monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: True)
  found = settings_lib.with_peers(settings_lib.combine(
      settings_lib.Settings(layout=''), 'B1-1', [8], ['float32'], ['off'],
      ['mean', 'conv']), ['timm_pooled'])
  assert [(one.peer, one.pooling) for one in found] == [
      ('', ''), ('', 'mean'), ('', 'conv'), ('timm_pooled', '')]


def test_peers_are_in_the_group_that_they_are_compared_in(monkeypatch):
  found = peers_of('B12,B4-4-4', ['timm', 'timm_pooled'], monkeypatch)
  assert [(one.layout, one.peer, one.batch_size) for one in found[:5]] == [
      ('vit', '', 8), ('B12', '', 8), ('B4-4-4', '', 8), ('vit', 'timm', 8),
      ('B4-4-4', 'timm_pooled', 8)]
  assert [one.batch_size for one in found] == [8] * 5 + [16] * 5
  assert len(peers_of('B12,B4-4-4', [], monkeypatch, None)) == 6


@pytest.mark.parametrize('layouts, peers, changes, message', [
    ('B12', ['keras'], {}, '--peers=keras: must be timm or timm_pooled'),
    ('B12', ['timm'], {'found': None}, r"needs torch.*-e '\.\[peers\]'"),
    ('B12', ['timm'], {'tpu': 'local'}, 'Leave out --tpu'),
    ('B6-6(50)', ['timm_pooled'], {}, r'B6-6\(50\) cannot be'),
], ids=str)
def test_peers_that_cannot_be(layouts, peers, changes, message, monkeypatch):
  with pytest.raises(ValueError, match=message):
    peers_of(layouts, peers, monkeypatch, **changes)
