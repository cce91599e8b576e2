"""Tests of the LiteRT and ONNX files, run by their own runtimes."""

import importlib.util
import json
import os
import pathlib
import types

import numpy as np
import pytest
import short_runs
import tensorflow as tf

from official_ext.serving.formats import calibration
from official_ext.serving.formats import description
from official_ext.serving.formats import names
from official_ext.serving.formats import single_file
from official_ext.serving.formats import write
from official_ext.serving.runtimes import loading
from official_ext.tasks import normalization
from official_ext.trained import trained_model
from official_ext.trained import validation_data

needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec('tf2onnx') is None
    or importlib.util.find_spec('onnxruntime') is None,
    reason='the extra onnx is not installed')


@pytest.fixture(name='batch', scope='module')
def _batch(trained):
  return next(validation_data.read_records(trained, None, 20))


def check(runner, trained, batch, tolerance):
  """Its logits at several batch sizes beside the model's."""
  expected = trained.model(batch.images, training=False).numpy()
  resized = normalization.IMAGENET.denormalize(batch.images)
  for size in (1, 20, 3):
    np.testing.assert_allclose(
        runner.logits(resized[:size]), expected[:size], rtol=0, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize(('precision', 'tolerance'), [
    ('float32', 1e-4), ('float16', 1e-2), ('dynamic_range', 0.1),
    ('int8', 0.3)])
def test_litert(trained, batch, tmp_path, precision, tolerance):
  options = write.Options(
      precision=precision, calibration=calibration.Calibration(num_images=30))
  path = write.export(trained, names.LITERT, str(tmp_path), options)
  assert path == str(tmp_path / f'model_{precision}.tflite')
  assert os.listdir(tmp_path) == [os.path.basename(path)]
  runner, = loading.load_all(path, num_threads=2)
  check(runner, trained, batch, tolerance)
  # A weight takes so many bytes; the rest is the graph.
  weights = sum(np.prod(variable.shape) for variable in trained.model.variables)
  bytes_of_weight = {'float32': 4, 'float16': 2}.get(precision, 1)
  assert weights * bytes_of_weight < runner.num_bytes
  assert runner.num_bytes < weights * (bytes_of_weight + 1)
  assert runner.is_exact == (precision == 'float32')
  metadata = json.loads(
      single_file.read_metadata(pathlib.Path(path).read_bytes()))
  assert metadata == description.describe(trained) | {
      'precision': precision, 'input': write.INPUT_DESCRIPTION}
  with pytest.raises(ValueError, match='exists. Add --overwrite'):
    write.export(trained, names.LITERT, str(tmp_path), options)


@needs_onnx
def test_onnx(trained, batch, tmp_path):
  path = write.export(trained, names.ONNX, str(tmp_path))
  assert os.listdir(tmp_path) == ['model.onnx']
  runner, = loading.load_all(path, num_threads=2)
  check(runner, trained, batch, 1e-4)
  assert runner.description == description.describe(trained) | {
      'precision': 'float32', 'input': write.INPUT_DESCRIPTION}


BACKBONE = 'task.model.backbone.funnel_vit'
# Tokens, norms and layers around the encoder that published ViTs have.
PUBLISHED = {
    f'{BACKBONE}.{name}': value for name, value in dict(
        pooler='map', class_token=True, distillation_token=True,
        num_registers=2, class_token_position=False, patch_bias=False,
        norm_before_layers=True, final_norm='pooled', representation_size=0,
        projection_size=8).items()}


# Pools that learn, with short windows, and what keys stand for.
LEARNED = {
    kind: {f'{BACKBONE}.{name}': value
           for name, value in settings.items()} for kind, settings in {
               'conv': dict(pooling='conv', layout='B1-1(s3)',
                            attention_bias='proportional'),
               'weighted': dict(pooling='weighted', layout='B1-1(s4)',
                                pool_axes='grid', pool_query_only=False),
           }.items()}


@pytest.mark.long
@needs_onnx
@pytest.mark.parametrize(
    'settings', [PUBLISHED, *LEARNED.values()], ids=['published', *LEARNED])
def test_the_parts_of_other_models_are_in_it(digits_dir, tmp_path, settings):
  for steps in (4, 6):  # Trained, and gone on with.
    short_runs.train(
        digits_dir, tmp_path / 'run', **settings | {
            'trainer.train_steps': steps})
  trained = trained_model.find(str(tmp_path / 'run'))
  assert trained.step == 6
  batch = next(validation_data.read_records(trained, None, 20))
  for export_format in (names.LITERT, names.ONNX):
    path = write.export(trained, export_format, str(tmp_path / export_format))
    runner, *_ = loading.load_all(path, num_threads=2)
    check(runner, trained, batch, 1e-4)


@pytest.mark.parametrize('export_format', names.FORMATS)
def test_weights_that_are_not_finite(tmp_path, export_format):
  model = types.SimpleNamespace(variables=[
      tf.Variable([1.0], name='bias'),
      tf.Variable([[0.0, np.inf]], name='head')])
  trained = types.SimpleNamespace(model=model, checkpoint='run/ckpt-10')
  with pytest.raises(ValueError, match=(
      'run/ckpt-10 is of a training that diverged: head:0 is not finite. ')):
    write.export(trained, export_format, str(tmp_path / 'export'))
  assert not (tmp_path / 'export').exists()
