"""Tests of the settings of a benchmark process."""

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


@pytest.mark.parametrize('flag, message', [
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
