"""Hooks, and the fixtures that do not need TensorFlow."""

import fcntl
import gc
import importlib.util
import os
import pathlib
import random
import shutil
import signal

import pytest

# Before TensorFlow, for one Keras on 2.15.
import official_ext  # noqa: F401

# Before TensorFlow is imported: the tests need no accelerator.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '-1')

# Of the addons line, where alone they can be imported or mean something.
collect_ignore = [] if importlib.util.find_spec('tensorflow_addons') else [
    'optimization/addons_optimizers_test.py', 'two_lines_test.py']

# Trainings that take longer than most tests: what uses them is slow.
SLOW_FIXTURES = {'ema_run', 'finished', 'two_runs'}
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def pytest_configure(config):
  # A job in the background begins with Ctrl-C ignored, and hands that on to
  # the commands whose end by Ctrl-C is tested.
  signal.signal(signal.SIGINT, signal.default_int_handler)
  only_hands_out = (config.getoption('dist', 'no') != 'no' and
                    not hasattr(config, 'workerinput'))
  if not only_hands_out:
    # What is imported stays: to look for garbage in it, again and again, takes
    # a fifth of the time.
    gc.disable()
    config.pluginmanager.import_plugin('tensorflow_fixtures')


def pytest_addoption(parser):
  parser.addoption(
      '--order_seed', type=int, default=None,
      help='Run the test modules, and the tests in each, in a random order.')


# Before tests are chosen by their marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
  """Marks what is slow; and shuffles modules and their tests.

  All processes of xdist do it alike.
  """
  for item in items:
    if SLOW_FIXTURES.intersection(item.fixturenames):
      item.add_marker(pytest.mark.slow)
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
