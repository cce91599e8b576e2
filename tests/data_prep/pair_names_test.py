"""Tests of what names of images and masks share."""

import pytest

from data_prep import pair_names


@pytest.mark.parametrize('suffix, name, stem', [
    ('', 'a.b.jpg', 'a.b'),
    ('_mask', 'a_mask.png', 'a'),
    ('_mask.png', 'a_mask.png', 'a'),
    ('_mask.png', 'a_mask.PNG', None),
    ('_mask', 'a_mask_2.png', None),
    ('_mask', '_mask.png', ''),
    # What ends so before its last dot does so as it stands.
    ('.b', 'a.b.png', 'a'),
])
def test_stem(suffix, name, stem):
  for role in (pair_names.IMAGE, pair_names.MASK):
    assert pair_names.Suffixes(suffix, suffix).stem(name, role) == stem


@pytest.mark.parametrize('image, mask, roles', [
    ('', '_mask', {'a.jpg': 'image', 'a_mask.png': 'mask'}),
    ('_rgb', '_mask',
     {'a_rgb.png': 'image', 'a_mask.png': 'mask', 'a.png': ''}),
    # By the longer one.
    ('_mask', '_rgb_mask', {'a_mask.png': 'image', 'a_rgb_mask.png': 'mask'}),
    ('_rgb_mask', '_mask', {'a_rgb_mask.png': 'image', 'a_mask.png': 'mask'})])
def test_role(image, mask, roles):
  suffixes = pair_names.Suffixes(image, mask)
  assert {name: suffixes.role(name) for name in roles} == roles


def test_names_by_stem():
  suffixes = pair_names.Suffixes('', '_mask.png')
  assert pair_names.by_stem(
      ['a_mask.png', 'b.png', 'c_mask.png'], suffixes, pair_names.MASK) == (
          {'a': ['a_mask.png'], 'c': ['c_mask.png']}, ['b.png'])
  assert suffixes.name('a', pair_names.MASK) == 'a_mask.png'
  assert suffixes.name('a', pair_names.IMAGE) == 'a'
  assert pair_names.Suffixes(mask='_m').name('a', pair_names.MASK) == 'a_m.png'
