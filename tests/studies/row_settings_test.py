"""Tests of the settings of a study and of its rows."""

import pytest

from official_ext.studies import row_settings


def test_some_over_others():
  settings = {'a': {'b': 1, 'c': {'d': 2}}, 'e': 3}
  row_settings.merge(settings, {'a': {'c': {'d': 4, 'f': 5}}, 'e': [6]})
  assert settings == {'a': {'b': 1, 'c': {'d': 4, 'f': 5}}, 'e': [6]}
  with pytest.raises(ValueError, match='here: params_override sets e twice'):
    row_settings.merge(settings, {'e': 7}, 'here')


def test_references_to_rows():
  settings = {'a': {'run_of': 'ViT'}, 'b': {'c': {'run_of': 'max'}}, 'd': 1}
  assert row_settings.references(settings) == ['ViT', 'max']
  assert row_settings.resolved(settings, {'ViT': 'x/1', 'max': 'x/2'}) == {
      'a': 'x/1', 'b': {'c': 'x/2'}, 'd': 1}
  row_settings.check_of_all_rows({'d': {'e': 1}}, 'here')
  with pytest.raises(ValueError, match='here has {run_of: ViT}, but is of all'):
    row_settings.check_of_all_rows(settings, 'here')
