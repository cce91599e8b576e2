"""Fixtures of the tests that need TensorFlow.

A plugin of its own, so that the process of pytest-xdist that only hands tests
out, and which the others wait for, does not import TensorFlow.
"""

import gc

from absl import flags
import pytest
import short_runs
import tensorflow as tf
from tensorflow.python.framework import config as tf_config
import tf_keras

from data_prep import digits_to_tfrecord
from official_ext import registry_imports  # noqa: F401
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.trained import trained_model


def pytest_configure():
  # Two logical devices for the tests of mirrored training; TensorFlow wants
  # to know before its first operation.
  cpu = tf.config.list_physical_devices('CPU')[0]
  tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()


def pytest_collection_finish():
  """The modules are imported; what the tests make is collected again."""
  gc.freeze()
  gc.enable()


def _reset():
  """What a test or a command may leave behind that changes another's sums."""
  tf_keras.backend.clear_session()
  tf_keras.backend.set_floatx('float32')
  tf_keras.mixed_precision.set_global_policy('float32')
  tf_keras.utils.set_random_seed(0)
  if tf_config.is_op_determinism_enabled():
    tf_config.disable_op_determinism()
  tf.config.optimizer.set_jit('')


# Whether a test has run since everything was reset.
_used = True


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef):
  """What several tests share begins as a test does, whichever ran before."""
  global _used
  if fixturedef.scope != 'function' and _used:
    _reset()
    _used = False


@pytest.fixture(autouse=True)
def _same_start():
  """Every test begins from the same seed and in float32."""
  global _used
  _reset()
  _used = True


@pytest.fixture(autouse=True, scope='module')
def _let_go_of_models():
  """Python's own collector comes too seldom for models of gigabytes."""
  yield
  tf_keras.backend.clear_session()
  gc.collect()
  # What is left stays, such as the graphs that TensorFlow keeps: without it
  # every later collection, of which tracing causes many, visits it again.
  gc.freeze()


@pytest.fixture(scope='session')
def digits_dir(make_once):
  """TFRecords of the digits."""
  return make_once('digits', lambda folder: digits_to_tfrecord.convert(
      str(folder), num_train_shards=4, num_samples=6))


@pytest.fixture(name='trained_dir', scope='session')
def _trained_dir(digits_dir, make_once):
  """The folder of a short training."""
  return make_once(
      'trained', lambda folder: short_runs.train(digits_dir, folder))


@pytest.fixture(name='export_dir', scope='session')
def _export_dir(trained_dir, make_once):
  """A folder with one version of the short training's model."""
  return make_once('exports', lambda folder: write.export(
      trained_model.find(trained_dir), names.SAVED_MODEL, str(folder)))
