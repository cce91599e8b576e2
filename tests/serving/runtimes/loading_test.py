"""Tests of the files that a runtime cannot load."""

import importlib.util

import pytest

from official_ext.serving.runtimes import loading

needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec('onnxruntime') is None,
    reason='the extra onnx is not installed')


@pytest.mark.parametrize('name', ['model.tflite', pytest.param(
    'model.onnx', marks=needs_onnx)])
@pytest.mark.parametrize('contents', [b'', b'no model at all', bytes(2_000)])
def test_a_damaged_file_is_named(tmp_path, name, contents):
  (tmp_path / name).write_bytes(contents)
  with pytest.raises(ValueError, match=f'{name} is not the .* file of an exp'):
    loading.load_all(str(tmp_path / name), num_threads=1)


def test_a_path_that_is_not_there(tmp_path):
  for name in ('model.tflite', 'model.onnx'):
    with pytest.raises(ValueError, match=f'{name} does not exist'):
      loading.load_all(str(tmp_path / name), num_threads=1)
  with pytest.raises(ValueError, match='holds no SavedModel'):
    loading.load_all(str(tmp_path), num_threads=1)
