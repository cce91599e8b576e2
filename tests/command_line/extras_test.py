"""Tests of what is not installed with the package."""

import pytest

from official_ext.command_line import extras


def test_what_is_installed():
  assert extras.load('os.path', 'onnx', 'it').join('a', 'b') == 'a/b'


def test_what_is_missing():
  with pytest.raises(ValueError, match=(
      r'^a\.onnx needs the extra onnx \(no_such_module is missing\)\. Install '
      r"it: pip install -e '\.\[onnx\]'\.$")):
    extras.load('no_such_module.inside', 'onnx', 'a.onnx')
