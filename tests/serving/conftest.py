"""Fixtures shared by the tests of exports."""

import pytest
import tensorflow as tf

from official_ext.serving import exporter


@pytest.fixture(name='export_dir', scope='session')
def _export_dir(trained_dir, tmp_path_factory):
  """A folder with one version of it."""
  base = tmp_path_factory.mktemp('exports')
  assert exporter.export(trained_dir, str(base)) == str(base / '1')
  return str(base)


@pytest.fixture(name='serve', scope='session')
def _serve(export_dir):
  """The signatures of the export."""
  loaded = tf.saved_model.load(f'{export_dir}/1')
  signatures = dict(loaded.signatures)
  # A signature does not keep its model alive.
  signatures['default'] = lambda images, kept=loaded: signatures[
      'serving_default'](image_bytes=tf.constant(images, tf.string))
  return signatures
