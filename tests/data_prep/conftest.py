"""Fixtures shared by the tests of conversions."""

import conversions
import image_trees
import pytest


@pytest.fixture(name='folder')
def _folder(tmp_path):
  """40 images in three classes."""
  image_trees.class_folders(tmp_path / 'in', {'a': 20, 'b': 15, 'c': 5})
  return tmp_path / 'in'


@pytest.fixture(name='expected')
def _expected(folder, tmp_path):
  """The shards and the manifest of an undisturbed run."""
  conversions.convert(folder, tmp_path / 'expected')
  return conversions.files(tmp_path / 'expected')
