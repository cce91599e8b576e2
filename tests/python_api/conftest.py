"""Fixtures shared by the tests of the Python API."""

import pytest

import official_ext
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.trained import trained_model


@pytest.fixture(name='funnel', scope='session')
def _funnel(trained_dir):
  """The model of a short training."""
  return official_ext.load(trained_dir)


@pytest.fixture(name='export_dir', scope='session')
def _export_dir(trained_dir, make_once):
  """A folder with one export of it."""
  return make_once('exports', lambda folder: write.export(
      trained_model.find(trained_dir), names.SAVED_MODEL, str(folder)))


@pytest.fixture(name='exported', scope='session')
def _exported(export_dir):
  return official_ext.load(export_dir)
