"""Checkpoints between TensorFlow 2.15 and the main line, in both directions.

Runs on the addons line (`make test-addons`), with the main line's Python in
MAIN_LINE_PYTHON or in .venv.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
import tolerances

from official_ext.checkpoints import metadata

pytestmark = pytest.mark.addons

# One block; three; blocks of two widths, with a projection between them.
LAYOUTS = ['B4', 'B2-2-2', 'B1-1(h128)']


@pytest.fixture(scope='module')
def lines(repository):
  """The Pythons of both lines, by their TensorFlow."""
  main = os.environ.get('MAIN_LINE_PYTHON') or str(
      repository / '.venv' / 'bin' / 'python')
  assert os.path.exists(main), (
      f'{main}, the Python of the main line, does not exist: run `make setup`, '
      'or set MAIN_LINE_PYTHON')
  found = {}
  for python in (sys.executable, main):
    version = subprocess.run(
        [python, '-c', 'from importlib import metadata; '
         'print(metadata.version("tensorflow"))'],
        capture_output=True, text=True, check=True).stdout
    found['.'.join(version.split('.')[:2])] = python
  assert set(found) == {'2.15', '2.20'}
  return found


def run(python, repository, *arguments):
  result = subprocess.run(
      [python, 'tests/exchange.py', *map(str, arguments)], cwd=repository,
      capture_output=True, text=True, timeout=600, check=False,
      env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1',
           'PYTHONPATH': os.pathsep.join(['.', 'tests'])})
  assert result.returncode == 0, result.stderr


@pytest.mark.parametrize('writer, reader', [('2.15', '2.20'), ('2.20', '2.15')])
def test_checkpoints_of_one_line_are_read_by_the_other(
    lines, repository, tmp_path, writer, reader):
  run(lines[writer], repository, 'write', tmp_path, *LAYOUTS)
  run(lines[reader], repository, 'read', tmp_path, *LAYOUTS)
  for layout in LAYOUTS:
    folder = tmp_path / layout
    found = metadata.read(str(folder / 'checkpoint'))
    assert found['versions']['tensorflow'].startswith(writer)
    written = np.load(folder / 'written.npy')
    assert written.shape == (4, 10)
    assert written.std() > 0.1
    # The kernels of the two differ in their rounding.
    tolerances.assert_close(
        np.load(folder / 'read.npy'), written, depth=4, length=128)
