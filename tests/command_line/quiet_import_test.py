"""What a program sees, and keeps, when TensorFlow comes with this project."""

import os
import subprocess
import sys
import warnings

import pytest

from official_ext.command_line import quiet_import

LEVEL = 'TF_CPP_MIN_LOG_LEVEL'


@pytest.mark.parametrize('before, inside', [(None, '3'), ('1', '1')])
def test_the_programs_settings_stay(monkeypatch, before, inside):
  monkeypatch.delitem(sys.modules, 'tensorflow', raising=False)
  monkeypatch.delenv(LEVEL, raising=False)
  if before:
    monkeypatch.setenv(LEVEL, before)
  monkeypatch.setattr(sys, 'warnoptions', [])
  filters = list(warnings.filters)
  with pytest.raises(ImportError), quiet_import.quiet():
    assert os.environ[LEVEL] == inside
    assert warnings.filters[0][0] == 'ignore'
    raise ImportError
  assert os.environ.get(LEVEL) == before
  assert warnings.filters == filters


def test_what_is_imported_already_is_left_alone(monkeypatch):
  monkeypatch.setitem(sys.modules, 'tensorflow', None)
  monkeypatch.delenv(LEVEL, raising=False)
  with quiet_import.quiet():
    assert LEVEL not in os.environ


@pytest.mark.long
def test_nothing_is_said(repository):
  code = (
      'import os, official_ext\n'
      "official_ext.create('vit-nano4', 'B1-1', image_size=16)\n"
      f'print({LEVEL!r} in os.environ)')
  result = subprocess.run(
      [sys.executable, '-c', code], cwd=repository, capture_output=True,
      text=True, check=True, env={
          name: value for name, value in os.environ.items() if name != LEVEL})
  assert (result.stdout, result.stderr) == ('False\n', '')
