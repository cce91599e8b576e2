"""Fixtures shared by the tests."""

import fcntl
import gc
import importlib.util
import os
import pathlib
import random
import shutil
import signal

# Before TensorFlow, for one Keras on 2.15.
import official_ext  # noqa: F401

# Before TensorFlow is imported: the tests need no accelerator.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '-1')

# pylint: disable=g-import-not-at-top
from absl import flags
import pytest
import short_runs
import tensorflow as tf
from tensorflow.python.framework import config as tf_config
import tf_keras

from data_prep import digits_to_tfrecord
from official_ext import registry_imports  # noqa: F401

# pylint: enable=g-import-not-at-top

# Of the addons line, where alone they can be imported or mean something.
collect_ignore = [] if importlib.util.find_spec('tensorflow_addons') else [
    'optimization/addons_optimizers_test.py', 'two_lines_test.py']

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def pytest_configure():
  # Two logical devices for the tests of mirrored training; TensorFlow wants
  # to know before its first operation.
  cpu = tf.config.list_physical_devices('CPU')[0]
  tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  # A job in the background begins with Ctrl-C ignored, and hands that on to
  # the commands whose end by Ctrl-C is tested.
  signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
  parser.addoption(
      '--order_seed', type=int, default=None,
      help='Run the test modules, and the tests in each, in a random order.')


def pytest_collection_modifyitems(config, items):
  """Shuffles modules and their tests; all processes of xdist alike."""
  seed = config.getoption('order_seed')
  if seed is None:
    return
  generator = random.Random(seed)
  modules = {}
  for item in items:
    modules.setdefault(item.path, []).append(item)
  groups = list(modules.values())
  generator.shuffle(groups)
  for group in groups:
    generator.shuffle(group)
  items[:] = [item for group in groups for item in group]


def _reset():
  """What a test or a command may leave behind that changes another's sums."""
  tf_keras.backend.clear_session()
  tf_keras.backend.set_floatx('float32')
  tf_keras.mixed_precision.set_global_policy('float32')
  tf_keras.utils.set_random_seed(0)
  if tf_config.is_op_determinism_enabled():
    tf_config.disable_op_determinism()
  tf.config.optimizer.set_jit('')


@pytest.fixture(autouse=True, scope='module')
def _same_start_of_modules():
  """The fixtures of a module run before those of its tests."""
  _reset()


@pytest.fixture(autouse=True)
def _same_start(_same_start_of_modules):
  """Every test begins from the same seed and in float32, and leaves it so."""
  _reset()
  yield
  _reset()


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
def repository():
  return REPOSITORY


@pytest.fixture(scope='session')
def make_once(tmp_path_factory):
  """A function that fills a folder once for all processes of xdist.

  It takes a name and a function of the folder, and returns the folder's path.
  The tests only read such a folder.
  """
  root = tmp_path_factory.getbasetemp()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    root = root.parent

  def make(name, fill):
    folder = root / name
    with open(root / f'{name}.lock', 'w', encoding='utf-8') as lock:
      fcntl.flock(lock, fcntl.LOCK_EX)
      if not folder.exists():
        unfinished = root / f'{name}.unfinished'
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        fill(unfinished)
        unfinished.rename(folder)
    return str(folder)

  return make


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
