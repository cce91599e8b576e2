"""Tests of the SavedModel as a thing on disk: what is in it, and when."""

import os
import pathlib
import random
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import records_for_tests
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from official_ext.checkpoints import metadata
from official_ext.checkpoints import object_graph
from official_ext.serving import classifier as classifier_lib
from official_ext.serving import description
from official_ext.serving import exporter
from official_ext.serving import versions
from official_ext.trained import trained_model


def copy_params(trained_dir, target, replaced, replacement):
  """Writes a changed params.yaml; returns the checkpoint to use with it."""
  text = pathlib.Path(trained_dir, 'params.yaml').read_text()
  assert replaced in text
  (target / 'params.yaml').write_text(text.replace(replaced, replacement))
  return trained_model.Selection(tf.train.latest_checkpoint(trained_dir))


def test_the_export_knows_what_it_is(trained_dir, export_dir):
  checkpoint = tf.train.latest_checkpoint(trained_dir)
  assert metadata.read(object_graph.find(export_dir)) == metadata.read(
      checkpoint)
  described = description.read_newest(export_dir)
  assert described['model'] == metadata.read(checkpoint)
  preprocessing = dict(described['preprocessing'])
  for name, values in (('mean', [123.675, 116.28, 103.53]),
                       ('stddev', [58.395, 57.12, 57.375])):
    assert preprocessing.pop(name) == pytest.approx(values)
  assert preprocessing == {
      'color_space': 'RGB', 'center_crop_fraction': 0.7,
      'image_size': [16, 16], 'resize_method': 'bicubic'}
  assert described['source'] == {
      'checkpoint': checkpoint, 'step': 10, 'averaged': False}
  assert described['classes'] == [str(digit) for digit in range(10)]


def test_versions_count_up_and_nothing_is_left_over(trained_dir, tmp_path):
  base = str(tmp_path / 'new' / 'folder')
  assert exporter.export(trained_dir, base, version=7) == f'{base}/7'
  # A process that is no more; and one of another machine, which may live.
  ended = subprocess.run(
      [sys.executable, '-c', 'import os; print(os.getpid())'],
      check=True, capture_output=True, text=True)
  abandoned = f'.unfinished-{socket.gethostname()}-{ended.stdout.strip()}'
  elsewhere = '.unfinished-elsewhere-1'
  for name in (abandoned, elsewhere):
    os.makedirs(f'{base}/{name}/variables')
  assert exporter.export(trained_dir, base) == f'{base}/8'
  assert sorted(os.listdir(base)) == [elsewhere, '7', '8']
  assert classifier_lib.find_version(base) == f'{base}/8'
  with pytest.raises(ValueError, match='--version=7: .* has that version'):
    exporter.export(trained_dir, base, version=7)


def test_a_number_that_another_export_takes_meanwhile(tmp_path):
  base = str(tmp_path)
  with versions.unfinished(base) as path:
    os.makedirs(path)
    os.makedirs(f'{base}/3/variables')
    assert versions.publish(path, base, None) == f'{base}/4'
  with versions.unfinished(base) as path:
    os.makedirs(path)
    with pytest.raises(ValueError, match='--version=3'):
      versions.publish(path, base, 3)
  assert sorted(os.listdir(base)) == ['3', '4']


def test_a_store_without_folders_gets_the_model_file_last(monkeypatch):
  base = 'ram://store/exports'
  moved = []
  rename = tf.io.gfile.rename

  def record(source, target, overwrite=False):
    moved.append(target)
    rename(source, target, overwrite)

  monkeypatch.setattr(tf.io.gfile, 'rename', record)
  with versions.unfinished(base) as path:
    for name in ('saved_model.pb', 'assets/names.txt', 'variables/variables'):
      tf.io.gfile.makedirs(os.path.dirname(f'{path}/{name}'))
      with tf.io.gfile.GFile(f'{path}/{name}', 'w') as file:
        file.write(name)
    assert versions.publish(path, base, None) == f'{base}/1'
  assert moved[-1] == f'{base}/1/saved_model.pb' and len(moved) == 3
  with tf.io.gfile.GFile(f'{base}/1/assets/names.txt') as file:
    assert file.read() == 'assets/names.txt'


def test_a_failed_export_shows_no_version(trained_dir, tmp_path, monkeypatch):
  def fail(*unused_args, **unused_kwargs):
    raise OSError('disk full')
  monkeypatch.setattr(tf.io.gfile, 'rename', fail)
  with pytest.raises(OSError, match='disk full'):
    exporter.export(trained_dir, str(tmp_path))
  assert not os.listdir(tmp_path)
  with pytest.raises(ValueError, match='holds no SavedModel'):
    classifier_lib.find_version(str(tmp_path))


def test_no_checkpoint_no_export(trained_dir, tmp_path):
  copy_params(trained_dir, tmp_path, 'task:', 'task:')
  with pytest.raises(ValueError, match='untrained weights are not taken'):
    exporter.export(str(tmp_path), str(tmp_path / 'exports'))
  with pytest.raises(ValueError, match=r'there is no params\.yaml'):
    exporter.export(str(tmp_path / 'missing'), str(tmp_path / 'exports'))


def test_a_checkpoint_of_another_model_is_refused(trained_dir, tmp_path):
  selection = copy_params(
      trained_dir, tmp_path, 'layout: B2-2-2', 'layout: B6')
  with pytest.raises(ValueError, match='belongs to another architecture'):
    exporter.export(str(tmp_path), str(tmp_path / 'exports'), selection)


def test_names_that_are_not_those_of_the_classes(trained_dir, tmp_path):
  names = tmp_path / 'names'
  names.write_text('zero\none\n')
  selection = copy_params(
      trained_dir, tmp_path, "class_names_path: ''",
      f'class_names_path: {names}')
  with pytest.raises(ValueError, match='names 2 classes.* the model has 10'):
    exporter.export(str(tmp_path), str(tmp_path / 'exports'), selection)


def test_without_and_with_names_of_its_own(trained_dir, tmp_path, serve):
  selection = copy_params(trained_dir, tmp_path, 'data_dir: /', 'data_dir: no/')
  version = exporter.export(
      str(tmp_path), str(tmp_path / 'exports'), selection, top_k=99)
  assert not os.path.exists(f'{version}/assets/class_names.txt')
  loaded = tf.saved_model.load(version)
  image = pathlib.Path(
      sorted(pathlib.Path(trained_dir, '..').glob('digits*/samples/*'))[0])
  encoded = tf.constant([image.read_bytes()])
  unnamed = loaded.signatures['serving_default'](image_bytes=encoded)
  named = serve['serving_default'](image_bytes=encoded)
  # More than there are classes are all of them.
  assert [name.decode() for name in unnamed['top_classes'][0].numpy()] == [
      f'class {index}' for index in unnamed['top_indices'][0]]
  assert len(unnamed['top_classes'][0]) == 10
  assert [name.decode() for name in named['top_classes'][0].numpy()] == [
      str(int(index)) for index in unnamed['top_indices'][0][:5]]


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


def test_another_saved_model(tmp_path):
  class Doubler(tf.Module):

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def __call__(self, x):
      return 2 * x

  tf.saved_model.save(Doubler(), str(tmp_path / 'doubler'))
  with pytest.raises(ValueError, match="no signature 'serving_default'"):
    classifier_lib.Classifier(str(tmp_path / 'doubler'))
  with pytest.raises(ValueError, match='holds no SavedModel'):
    classifier_lib.Classifier(str(tmp_path))


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
  # So that the moments cover a whole export, however slow the machine is.
  with start_exports(repository, trained_dir, base) as process:
    start = time.monotonic()
    assert process.stdout.readline() == 'exported\n'
    seconds = time.monotonic() - start
    process.kill()
  for _ in range(times):
    with start_exports(repository, trained_dir, base) as process:
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
  version = exporter.export(trained_dir, base)
  assert all(name.isdigit() for name in os.listdir(base))
  assert int(os.path.basename(version)) == max(map(int, checked), default=0) + 1
  return len(checked)


def test_a_killed_export_leaves_no_version(repository, trained_dir, tmp_path):
  check_killed_exports(repository, trained_dir, str(tmp_path / 'exports'), 1)


@pytest.mark.long
def test_exports_killed_at_thirty_moments(repository, trained_dir, tmp_path):
  assert check_killed_exports(
      repository, trained_dir, str(tmp_path / 'exports'), 30) > 5
