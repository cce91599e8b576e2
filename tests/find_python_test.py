"""Tests of the search for a Python that tensorflow-addons installs on."""

import os
import subprocess
import sys

import pytest

NEEDS = 'needs Python 3.10 or 3.11, and there is none here. Looked at: '


def run(repository, *arguments, path=''):
  return subprocess.run(
      [sys.executable, 'requirements/find_python.py', *map(str, arguments)],
      cwd=repository, capture_output=True, text=True, check=False,
      env={**os.environ, 'PATH': str(path)})


def pretend(folder, name, version, has_ensurepip=True):
  """A program that answers as a Python of this version would."""
  folder.mkdir(exist_ok=True)
  path = folder / name
  path.write_text(
      f'#!/bin/sh\necho {version}\necho {path}\n'
      f'exit {0 if has_ensurepip else 1}\n')
  path.chmod(0o755)
  return path


def test_the_first_that_does_is_taken(repository, tmp_path):
  one, two = tmp_path / 'one', tmp_path / 'two'
  pretend(one, 'python3', '3.13')
  # A shim of pyenv, whose version is not switched on.
  (one / 'python3.11').write_text('#!/bin/sh\nexit 127\n')
  (one / 'python3.11').chmod(0o755)
  found = pretend(two, 'python3.11', '3.11')
  pretend(two, 'python3.10', '3.10')
  result = run(repository, path=f'{one}:{two}')
  assert (result.stdout, result.stderr) == (f'{found}\n', '')
  assert result.returncode == 0


def test_what_is_named_wins(repository, tmp_path):
  pretend(tmp_path, 'python3.11', '3.11')
  named = pretend(tmp_path, 'mine', '3.10')
  assert run(repository, named, path=tmp_path).stdout == f'{named}\n'
  assert run(repository, 'mine', path=tmp_path).stdout == f'{named}\n'


@pytest.mark.parametrize('version, has_ensurepip, reason', [
    ('3.12', True, 'is Python 3.12'), ('3.9', True, 'is Python 3.9'),
    ('3.11', False, 'makes no environments (install python3-venv)')])
def test_one_that_does_not_do_is_named_with_the_reason(
    repository, tmp_path, version, has_ensurepip, reason):
  python = pretend(tmp_path, 'python3', version, has_ensurepip)
  result = run(repository, path=tmp_path)
  assert result.returncode == 1
  assert result.stdout == ''
  assert f'{NEEDS}{python} {reason}. Install one, or name' in result.stderr
  assert 'make ADDONS_PYTHON=/path/to/python3.11 addons' in result.stderr


def test_none_at_all(repository, tmp_path):
  result = run(repository, path=tmp_path)
  assert result.returncode == 1
  assert (f'{NEEDS}nothing, python3, python3.11, python3.10 not found. Install'
          in result.stderr)
  result = run(repository, tmp_path / 'python3.11')
  assert f'{NEEDS}{tmp_path}/python3.11 cannot be run. ' in result.stderr
