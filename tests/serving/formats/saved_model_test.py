"""Tests of the SavedModel on disk: whole or not at all, and of what model."""

import dataclasses
import os
import pathlib
import random
import socket
import subprocess
import sys
import time

import conversions
import handmade_images
import image_trees
import models
import numpy as np
import proofs
import pytest
import records_for_tests
import short_runs
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from official_ext.serving.formats import description
from official_ext.serving.formats import names as names_lib
from official_ext.serving.formats import write
from official_ext.serving.runtimes import classifier as classifier_lib
from official_ext.serving.runtimes import loading
from official_ext.trained import trained_model


def export(model_dir, base, selection=None, **options):
  """Exports the model of a training as the command does."""
  options = write.Options(**options)
  write.prepare(names_lib.SAVED_MODEL, base, options)
  return write.export(
      trained_model.find(model_dir, selection), names_lib.SAVED_MODEL, base,
      options)


def copy_params(trained_dir, target, replaced, replacement):
  """Writes a changed params.yaml; returns the checkpoint to use with it."""
  text = pathlib.Path(trained_dir, 'params.yaml').read_text()
  assert replaced in text
  (target / 'params.yaml').write_text(text.replace(replaced, replacement))
  return trained_model.Selection(tf.train.latest_checkpoint(trained_dir))


@pytest.mark.long
def test_versions_count_up_and_nothing_is_left_over(trained_dir, tmp_path):
  base = str(tmp_path / 'new' / 'folder')
  assert export(trained_dir, base, version=7) == f'{base}/7'
  # A process that is no more; and one of another machine, which may live.
  ended = subprocess.run(
      [sys.executable, '-c', 'import os; print(os.getpid())'],
      check=True, capture_output=True, text=True)
  abandoned = f'.unfinished-{socket.gethostname()}-{ended.stdout.strip()}'
  elsewhere = '.unfinished-elsewhere-1'
  for name in (abandoned, elsewhere):
    os.makedirs(f'{base}/{name}/variables')
  assert export(trained_dir, base) == f'{base}/8'
  assert sorted(os.listdir(base)) == [elsewhere, '7', '8']
  assert classifier_lib.find_version(base) == f'{base}/8'
  with pytest.raises(ValueError, match='--version=7: .* has that version'):
    export(trained_dir, base, version=7)


@pytest.mark.slow
def test_a_failed_export_shows_no_version(trained_dir, tmp_path, monkeypatch):
  def fail(*unused_args, **unused_kwargs):
    raise OSError('disk full')
  monkeypatch.setattr(tf.io.gfile, 'rename', fail)
  with pytest.raises(OSError, match='disk full'):
    export(trained_dir, str(tmp_path))
  assert not os.listdir(tmp_path)
  with pytest.raises(ValueError, match='holds no SavedModel'):
    classifier_lib.find_version(str(tmp_path))


@pytest.mark.long
def test_a_model_that_xla_compiles_answers_as_one_that_it_does_not(
    trained_dir, tmp_path):
  plain, compiled = (
      loading.load_all(export(
          trained_dir, str(tmp_path / str(xla)), xla=xla), num_threads=1)[0]
      for xla in (False, True))
  assert (plain.name, compiled.name) == ('SavedModel', 'SavedModel, XLA')
  assert {**plain.description, 'xla': True} == compiled.description
  image = tf.io.encode_png(tf.random.stateless_uniform(
      [8, 8, 3], (1, 2), 0, 256, tf.int32).numpy().astype(np.uint8)).numpy()
  for batch_size in (1, 3):
    np.testing.assert_allclose(
        compiled.logits([image] * batch_size),
        plain.logits([image] * batch_size), rtol=0, atol=1e-4)


def test_no_checkpoint_no_export(trained_dir, tmp_path):
  copy_params(trained_dir, tmp_path, 'task:', 'task:')
  with pytest.raises(ValueError, match='untrained weights are not taken'):
    export(str(tmp_path), str(tmp_path / 'exports'))
  with pytest.raises(ValueError, match=r'there is no params\.yaml'):
    export(str(tmp_path / 'missing'), str(tmp_path / 'exports'))


def test_a_checkpoint_of_another_model_is_refused(trained_dir, tmp_path):
  selection = copy_params(
      trained_dir, tmp_path, 'layout: B1-1', 'layout: B3')
  with pytest.raises(ValueError, match='belongs to another architecture'):
    export(str(tmp_path), str(tmp_path / 'exports'), selection)


def test_names_that_are_not_those_of_the_classes(trained_dir, tmp_path):
  names = tmp_path / 'names'
  names.write_text('zero\none\n')
  selection = copy_params(
      trained_dir, tmp_path, "class_names_path: ''",
      f'class_names_path: {names}')
  # An earlier version wrote no names into the checkpoint.
  former = dataclasses.replace(
      trained_model.find(str(tmp_path), selection), data={})
  with pytest.raises(ValueError, match='names 2 classes.* the model has 10'):
    write.export(former, names_lib.SAVED_MODEL, str(tmp_path / 'exports'))


@pytest.mark.long
def test_without_and_with_names_of_its_own(
    trained_dir, digits_dir, tmp_path, serve):
  trained = trained_model.find(trained_dir)
  unnamed = dataclasses.replace(
      trained, data={}, params=trained.params.replace(
          task=trained.params.task.replace(
              data_dir='no', train_data={'input_path': 'no/train*'})))
  version = write.export(
      unnamed, names_lib.SAVED_MODEL, str(tmp_path / 'exports'),
      write.Options(top_k=99))
  assert not os.path.exists(f'{version}/assets/class_names.txt')
  loaded = tf.saved_model.load(version)
  image = pathlib.Path(
      sorted(pathlib.Path(digits_dir, 'samples').iterdir())[0])
  encoded = tf.constant([image.read_bytes()])
  unnamed = loaded.signatures['serving_default'](image_bytes=encoded)
  named = serve['serving_default'](image_bytes=encoded)
  # More than there are classes are all of them.
  assert [name.decode() for name in unnamed['top_classes'][0].numpy()] == [
      f'class {index}' for index in unnamed['top_indices'][0]]
  assert len(unnamed['top_classes'][0]) == 10
  assert [name.decode() for name in named['top_classes'][0].numpy()] == [
      str(int(index)) for index in unnamed['top_indices'][0][:5]]


def start_exports(repository, trained_dir, base):
  """Starts a process that exports again and again."""
  process = subprocess.Popen(
      [sys.executable, repository / 'tests/killed_export.py', trained_dir,
       base], cwd=repository, stdout=subprocess.PIPE, text=True,
      stderr=subprocess.DEVNULL,
      env={**os.environ, 'PYTHONPATH': str(repository)})
  assert process.stdout.readline() == 'ready\n'
  return process


def check_killed_exports(repository, trained_dir, base, times):
  """Kills exports at random moments; returns how many versions there are."""
  generator = random.Random(4)
  encoded = tf.constant([records_for_tests.encode()])
  checked, expected = set(), None
  for number in range(times):
    with start_exports(repository, trained_dir, base) as process:
      if number == 0:
        # So that the moments cover a whole export, however slow the machine is.
        start = time.monotonic()
        assert process.stdout.readline() == 'exported\n'
        seconds = time.monotonic() - start
      time.sleep(generator.uniform(0, 1.5 * seconds))
      process.kill()
    names = os.listdir(base) if os.path.isdir(base) else []
    # At most the one that was being written.
    assert len([name for name in names if not name.isdigit()]) <= 1
    for name in set(filter(str.isdigit, names)) - checked:
      logits = tf.saved_model.load(f'{base}/{name}').signatures[
          'serving_default'](image_bytes=encoded)['logits'].numpy()
      expected = logits if expected is None else expected
      np.testing.assert_array_equal(logits, expected)
      checked.add(name)
  version = export(trained_dir, base)
  assert all(name.isdigit() for name in os.listdir(base))
  assert int(os.path.basename(version)) == max(map(int, checked), default=0) + 1
  return len(checked)


@pytest.mark.long
def test_exports_killed_at_many_moments(repository, trained_dir, tmp_path):
  times, fewest = proofs.choose((4, 0), (30, 5))
  assert check_killed_exports(
      repository, trained_dir, str(tmp_path / 'exports'), times) > fewest


@pytest.mark.slow
def test_warmup_requests_can_be_answered(export_dir, serve):
  """TensorFlow Serving reads PredictionLogs and runs what they ask for."""
  path = f'{export_dir}/1/assets.extra/tf_serving_warmup_requests'
  asked = []
  for item in tf.data.TFRecordDataset(path).as_numpy_iterator():
    request = prediction_log_pb2.PredictionLog.FromString(
        item).predict_log.request
    (name, value), = request.inputs.items()
    output = serve[request.model_spec.signature_name](
        **{name: tf.constant(tf.make_ndarray(value))})
    asked.append((name, output['logits'].shape[0]))
  assert asked == [(name, size) for name in
                   ('image_bytes', 'image_tensor', 'tf_example')
                   for size in (1, 8)]


@pytest.mark.long
@pytest.mark.parametrize('orientations', ['apply', 'ignore'])
def test_photographs_travel_from_conversion_to_answer(tmp_path, orientations):
  """Converted, trained on, exported and served: turned or not all the way."""
  stored = np.zeros([32, 32, 3], np.uint8)
  stored[:16] = (250, 200, 0)
  exif = handmade_images.exif(6)
  lying, upright = (
      tf.io.encode_jpeg(pixels, quality=100, chroma_downsampling=False).numpy()
      for pixels in (stored, np.rot90(stored, -1)))
  lying = handmade_images.with_exif(lying, exif)
  for name in ('a', 'b'):
    for number in range(8):
      image_trees.write(tmp_path / 'in' / name / f'{number}.jpg', lying)
  conversions.convert(
      tmp_path / 'in', tmp_path / 'data', exif_orientation=orientations)
  short_runs.train(
      str(tmp_path / 'data'), tmp_path / 'run',
      **{'task.model.num_classes': 2, 'task.train_data.global_batch_size': 8,
         'task.train_data.num_examples': 16, 'trainer.train_steps': 2})
  trained = trained_model.find(str(tmp_path / 'run'))
  # After so short a training the answers hardly depend on the pixels.
  models.randomize(trained.model, 0)
  assert trained.data['exif_orientation'] == orientations
  path = write.export(
      trained, names_lib.SAVED_MODEL, str(tmp_path / 'exports'))
  described = description.read(path)
  assert described['preprocessing']['exif_orientation'] == orientations
  serve = tf.saved_model.load(path).signatures['serving_default']
  difference = np.abs(np.diff(serve(image_bytes=tf.constant(
      [lying, upright]))['logits'], axis=0)).max()
  # Two JPEGs of the same colors, or of others.
  assert (difference < 1e-3) == (orientations == 'apply'), difference
