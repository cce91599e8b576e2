"""Tests of the LiteRT and ONNX files, run by their own runtimes."""

import importlib.util
import json
import os
import pathlib

import numpy as np
import pytest
import short_runs

from official_ext.serving import description
from official_ext.serving import litert_file
from official_ext.serving import runners as runners_lib
from official_ext.serving import single_file
from official_ext.serving import verification
from official_ext.trained import trained_model
from official_ext.trained import validation_data

needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec('tf2onnx') is None
    or importlib.util.find_spec('onnxruntime') is None,
    reason='the extra onnx is not installed')


@pytest.fixture(name='trained', scope='module')
def _trained(trained_dir):
  return trained_model.find(trained_dir)


@pytest.fixture(name='batch', scope='module')
def _batch(trained):
  return next(validation_data.read_records(trained, None, 20))


def check(runner, trained, batch, tolerance):
  """Its logits at several batch sizes beside the model's."""
  expected = trained.model(batch.images, training=False).numpy()
  resized = verification.plain_function.resized(batch.images)
  for size in (1, 20, 3):
    np.testing.assert_allclose(
        runner.logits(resized[:size]), expected[:size], rtol=0, atol=tolerance)


@pytest.mark.parametrize(('precision', 'tolerance'), [
    ('float32', 1e-4), ('float16', 1e-2), ('dynamic_range', 0.1),
    ('int8', 0.3)])
def test_litert(trained_dir, trained, batch, tmp_path, precision, tolerance):
  path = single_file.export(
      trained_dir, str(tmp_path), 'tflite', precision,
      calibration=single_file.Calibration(num_images=30))
  assert path == str(tmp_path / f'model_{precision}.tflite')
  assert os.listdir(tmp_path) == [os.path.basename(path)]
  runner, = runners_lib.load_all(path, num_threads=2)
  check(runner, trained, batch, tolerance)
  # A weight takes so many bytes; the rest is the graph.
  weights = sum(np.prod(variable.shape) for variable in trained.model.variables)
  bytes_of_weight = {'float32': 4, 'float16': 2}.get(precision, 1)
  assert weights * bytes_of_weight < runner.num_bytes
  assert runner.num_bytes < weights * (bytes_of_weight + 1)
  assert runner.is_exact == (precision == 'float32')
  metadata = json.loads(litert_file.read_metadata(
      pathlib.Path(path).read_bytes()))
  assert metadata == description.describe(trained) | {
      'precision': precision, 'input': single_file.INPUT_DESCRIPTION}
  with pytest.raises(ValueError, match='exists. Add --overwrite'):
    single_file.export(trained_dir, str(tmp_path), 'tflite', precision)


@needs_onnx
def test_onnx(trained_dir, trained, batch, tmp_path):
  path = single_file.export(trained_dir, str(tmp_path), 'onnx')
  assert os.listdir(tmp_path) == ['model.onnx']
  runner, = runners_lib.load_all(path, num_threads=2)
  check(runner, trained, batch, 1e-4)
  assert runner.description == description.describe(trained) | {
      'precision': 'float32', 'input': single_file.INPUT_DESCRIPTION}


def test_calibration_needs_images(trained_dir, tmp_path):
  with pytest.raises(ValueError, match='calibrated on images.*nowhere'):
    single_file.export(
        trained_dir, str(tmp_path), 'tflite', 'int8',
        calibration=single_file.Calibration(records='nowhere/*'))
  assert not os.listdir(tmp_path)


def test_calibration_sees_images_as_the_file_will(trained, digits_dir):
  # pylint: disable-next=protected-access
  images = list(single_file._calibration_images(
      trained, single_file.Calibration(num_images=400)))
  # All 360, without those that fill the last batch up.
  assert len(images) == len(short_runs.held_out_images(digits_dir)) == 360
  batch = next(validation_data.read_records(trained, None, None))
  np.testing.assert_allclose(
      images[:32], verification.plain_function.resized(batch.images),
      atol=1e-3)
  assert np.max(images) > 200 and np.min(images) > -60


@pytest.mark.parametrize('name', ['model.tflite', pytest.param(
    'model.onnx', marks=needs_onnx)])
@pytest.mark.parametrize('contents', [b'', b'no model at all', bytes(2_000)])
def test_a_damaged_file_is_named(tmp_path, name, contents):
  (tmp_path / name).write_bytes(contents)
  with pytest.raises(ValueError, match=f'{name} is not the .* file of an exp'):
    runners_lib.load_all(str(tmp_path / name), num_threads=1)
