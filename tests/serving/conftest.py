"""Fixtures shared by the tests of exports."""

import pytest
import tensorflow as tf

from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.trained import trained_model


@pytest.fixture(name='trained', scope='session')
def _trained(trained_dir):
  """The model of a short training."""
  return trained_model.find(trained_dir)


@pytest.fixture(name='litert_path', scope='session')
def _litert_path(trained, make_once):
  """It as a LiteRT file in float32."""
  folder = make_once('litert', lambda folder: write.export(
      trained, names.LITERT, str(folder)))
  return f'{folder}/model_float32.tflite'


@pytest.fixture(name='serve', scope='session')
def _serve(export_dir):
  """The signatures of the export."""
  loaded = tf.saved_model.load(f'{export_dir}/1')
  signatures = dict(loaded.signatures)
  # A signature does not keep its model alive.
  signatures['default'] = lambda images, kept=loaded: signatures[
      'serving_default'](image_bytes=tf.constant(images, tf.string))
  return signatures
