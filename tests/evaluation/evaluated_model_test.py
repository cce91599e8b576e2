"""Tests of what can be evaluated, and that all of it is evaluated alike."""

import json
import pathlib
import shutil
import types

import handmade_images
import image_trees
import numpy as np
import pytest
import tensorflow as tf

from official_ext.checkpoints import metadata
from official_ext.evaluation import evaluated_model
from official_ext.evaluation import run
from official_ext.params import experiment
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.serving.runtimes import loading
from official_ext.trained import trained_model
from official_ext.trained import validation_data


@pytest.fixture(name='training', scope='module')
def _training(trained_dir):
  return evaluated_model.load(trained_dir)


@pytest.fixture(name='expected', scope='module')
def _expected(training):
  """What the training answers about 40 images."""
  return evaluate(training)


def evaluate(model, data=None, num_images=40):
  found, = run.evaluate(
      [model], evaluated_model.find_records(model, data), num_images, 5, 3)
  return found.outcomes


def moved_export(export_dir, folder, **source):
  """An export that says otherwise where it is from."""
  folder = pathlib.Path(shutil.copytree(f'{export_dir}/1', folder))
  path = folder / 'assets/model.json'
  described = json.loads(path.read_text())
  described['source'].update(source)
  path.write_text(json.dumps(described))
  return str(folder), described


def test_a_training(training, trained_dir):
  assert training.description['step'] == 10
  assert training.description['checkpoint'].startswith(f'{trained_dir}/ckpt-10')
  assert training.class_names == list('0123456789')
  assert training.is_training and not training.is_multilabel
  by_prefix = evaluated_model.load(training.description['checkpoint'])
  assert by_prefix.description == training.description


@pytest.mark.slow
def test_an_export_gives_the_figures_of_its_training(expected, export_dir):
  export = evaluated_model.load(export_dir)
  assert export.description['kind'] == 'SavedModel'
  assert not export.is_training
  found = evaluate(export)
  assert found.labels.tolist() == expected.labels.tolist()
  assert found.top_classes.tolist() == expected.top_classes.tolist()
  np.testing.assert_allclose(
      found.cross_entropies, expected.cross_entropies, atol=1e-5)
  # Of plain labels the loss is the cross-entropy.
  assert found.loss == pytest.approx(expected.loss, abs=1e-5)
  assert expected.loss == pytest.approx(
      expected.cross_entropies.mean(), abs=1e-5)


@pytest.mark.slow
def test_an_export_alone(expected, export_dir, digits_dir, tmp_path):
  path, _ = moved_export(
      export_dir, tmp_path / 'alone', checkpoint='/nowhere/ckpt-10')
  export = evaluated_model.load(path)
  found = evaluate(export, f'{digits_dir}/validation*')
  assert found.top_classes.tolist() == expected.top_classes.tolist()
  assert found.loss is None
  note, = export.notes()
  assert 'alone: its training is not at /nowhere/ckpt-10, so its loss' in note
  with pytest.raises(ValueError, match=(
      'alone is not at /nowhere/ckpt-10 to say which .* Name some with --dat')):
    evaluated_model.find_records(export, None)


@pytest.mark.long
@pytest.mark.parametrize('form', [names.LITERT, names.ONNX])
def test_a_file_gives_the_figures_of_its_training(
    expected, trained_dir, tmp_path, form):
  path = write.export(trained_model.find(trained_dir), form, str(tmp_path))
  # The image, as resized and normalised, becomes its values of 0 to 255 again.
  for named in (path, str(tmp_path)):
    export = evaluated_model.load(named)
    found = evaluate(export)
    assert export.description['kind'].startswith(
        {names.LITERT: 'LiteRT', names.ONNX: 'ONNX'}[form])
    np.testing.assert_allclose(
        found.label_probabilities, expected.label_probabilities, atol=2e-5)
    assert found.loss == pytest.approx(expected.loss, abs=1e-4)


def test_a_folder_of_several_files(tmp_path):
  for name in ('b.onnx', 'a.tflite', 'c.txt'):
    (tmp_path / name).touch()
  with pytest.raises(ValueError, match=(
      f'^{tmp_path} holds a.tflite, b.onnx. Name one of them, such as '
      f'{tmp_path}/a.tflite.$')):
    evaluated_model.load(str(tmp_path))


@pytest.mark.slow
def test_another_training_in_the_folder_is_not_asked(export_dir, trained_dir,
                                                     tmp_path):
  shutil.copytree(trained_dir, tmp_path / 'run')
  params = tmp_path / 'run/params.yaml'
  params.write_text(params.read_text().replace('B1-1', 'B2'))
  path, _ = moved_export(
      export_dir, tmp_path / 'moved', checkpoint=f'{tmp_path}/run/ckpt-10')
  assert evaluated_model.load(path).loss is None
  params.write_text(params.read_text().replace('B2', 'B1-1'))
  assert evaluated_model.load(path).loss is not None


def test_what_is_not_there(tmp_path):
  with pytest.raises(ValueError, match='nowhere does not exist. Name the fol'):
    evaluated_model.load(f'{tmp_path}/nowhere')
  with pytest.raises(ValueError, match='holds no SavedModel'):
    evaluated_model.load(str(tmp_path))
  (tmp_path / 'a.txt').touch()
  with pytest.raises(ValueError, match='is a file, but a SavedModel is a fold'):
    evaluated_model.load(f'{tmp_path}/a.txt')


@pytest.fixture(name='of_runner')
def _of_runner(export_dir, tmp_path, monkeypatch):
  """Loads an export that says of itself, and answers, what a test wants."""
  described = json.loads(pathlib.Path(
      f'{export_dir}/1/assets/model.json').read_text())

  def load(logits, takes_bytes=False, lacks=None, **changes):
    changed = json.loads(json.dumps(described))
    changed['model'].pop(lacks, None)
    for key, values in changes.items():
      changed[key] = {**changed[key], **values} if values else values
    runner = types.SimpleNamespace(
        name='ONNX float32', path='/there/a.onnx', takes_bytes=takes_bytes,
        description=changed, logits=logits)
    monkeypatch.setattr(
        loading, 'load_all', lambda path, num_threads: [runner])
    (tmp_path / 'a.onnx').touch()
    return evaluated_model.load(str(tmp_path / 'a.onnx'))
  return load


def batch_of(encoded):
  return validation_data.Batch(
      np.array(encoded, object), np.zeros([len(encoded), 8, 8, 3], 'f'),
      np.zeros([len(encoded)], int))


@pytest.mark.parametrize('fraction', [0.5, None])
def test_images_are_prepared_as_an_export_says(of_runner, fraction):
  model = of_runner(
      None, source={'checkpoint': '/nowhere/ckpt-3'}, classes=None,
      model={'num_classes': 7, metadata.DATA_KEY: {'label_offset': 1}},
      preprocessing={
          'image_size': [20, 28], 'mean': [1.0, 2.0, 3.0],
          'stddev': [4.0, 5.0, 6.0], 'resize_method': 'bicubic',
          'resize_antialias': True, 'resize_mode': 'resize_then_crop',
          'center_crop_fraction': fraction})
  assert list(model.task.model.input_size) == [20, 28, 3]
  assert model.task.model.num_classes == 7
  assert model.task.train_data.mean_rgb == [1, 2, 3]
  assert model.task.train_data.stddev_rgb == [4, 5, 6]
  data = model.task.validation_data
  assert (data.tf_resize_method, data.resize_antialias, data.resize_mode) == (
      'bicubic', True, 'resize_then_crop')
  assert data.aug_crop == (fraction is not None)
  assert data.center_crop_fraction == (fraction or 0.875)
  # Without names classes have their numbers.
  assert model.class_names == [f'class {number}' for number in range(7)]
  assert model.known == {'label_offset': 1}
  assert model.loss is None


def test_what_an_export_is(of_runner):
  model = of_runner(None, source={'step': 8, 'ema': True})
  assert model.description['kind'] == 'ONNX float32'
  assert model.description['path'] == '/there/a.onnx'
  assert (model.description['step'], model.description['ema']) == (8, True)
  assert model.class_names == list('0123456789') and model.notes() == []


def test_an_export_of_a_version_before_knows_its_training(of_runner):
  assert of_runner(None, lacks='layout').loss is not None
  assert of_runner(None, model={'layout': 'B2'}).loss is None


def test_resized_images_come_as_values_of_0_to_255(of_runner):
  asked = []
  model = of_runner(lambda images: asked.append(images))
  mean, stddev = (np.array(values, np.float32) for values in (
      model.task.train_data.mean_rgb, model.task.train_data.stddev_rgb))
  pixels = np.random.RandomState(1).uniform(0, 255, [2, 8, 8, 3])
  model.logits(validation_data.Batch(
      np.array([b''] * 2), np.float32((pixels - mean) / stddev), None))
  np.testing.assert_allclose(asked[0], pixels, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize('orientation, num_turned, told', [
    ('apply', 3, '3 images were turned'), ('apply', 1, '1 image was turned'),
    ('ignore', 3, None)])
def test_images_that_an_export_turns_are_told(
    of_runner, orientation, num_turned, told):
  upright = image_trees.encode(1)
  lying = handmade_images.with_exif(upright, handmade_images.exif(6))
  files = [lying] * num_turned + [upright] * 2
  asked = []
  model = of_runner(lambda encoded: asked.extend(encoded), takes_bytes=True,
                    preprocessing={'exif_orientation': orientation})
  for part in (files[:2], files[2:]):
    model.logits(batch_of(part))
  assert asked == files
  assert [note.removeprefix(f'{model.path}: ') for note in model.notes()] == (
      [f"{told} by EXIF data, as the export does; the training's evaluation "
       'takes records as they stand'] if told else [])


def test_a_refused_image_is_named_by_its_record(of_runner):
  def logits(encoded):
    if b'bad' in list(encoded):
      raise tf.errors.InvalidArgumentError(
          None, None, 'assertion failed: [too large]')
  model = of_runner(logits, takes_bytes=True,
                    preprocessing={'exif_orientation': 'ignore'})
  model.logits(batch_of([b'a', b'b', b'c']))
  with pytest.raises(ValueError, match=(
      '^ONNX float32 refuses the image of record 4: too large. A server does')):
    model.logits(batch_of([b'd', b'bad']))


def test_runtimes_get_their_threads(tmp_path, monkeypatch):
  asked = []

  def load_all(path, num_threads):
    asked.append((path, num_threads))
    raise FileNotFoundError
  monkeypatch.setattr(loading, 'load_all', load_all)
  path = tmp_path / 'a.tflite'
  path.touch()
  for named in (path, tmp_path):
    with pytest.raises(FileNotFoundError):
      evaluated_model.load(str(named), num_threads=3)
  assert asked == [(str(path), 3)] * 2


class Model:
  """Answers with the same logits, and has a loss of its own."""

  def __init__(self):
    self.losses, self.asked = [tf.constant(2.0)], []

  def __call__(self, images, training):
    self.asked.append(training)
    return tf.tile(tf.constant([[1.001, 2.002, 0.0]]), [len(images), 1])


@pytest.fixture(name='of_training')
def _of_training(monkeypatch, tmp_path):
  """Loads a training of three classes, as a test wants it."""
  params = experiment.base('funnel_vit_digits')
  (tmp_path / 'params.yaml').touch()
  (tmp_path / 'best').mkdir()
  for prefix in ('ckpt-7', 'best/ckpt-7'):
    tf.train.Checkpoint(weight=tf.Variable(1.0)).write(f'{tmp_path}/{prefix}')

  def load(path, *arguments, task=None, runtime=None, names_known=None):
    found = types.SimpleNamespace(
        params=params.replace(
            task={'model': {'num_classes': 3}, **(task or {})},
            runtime=runtime or {}),
        model=Model(), checkpoint='/there/ckpt-7', step=7, is_ema=True,
        data={'label_offset': 1}, class_names=names_known)
    selected = []
    monkeypatch.setattr(trained_model, 'find', lambda *given: (
        selected.append(given), found)[1])
    return evaluated_model.load(
        f'{tmp_path}{path}', *arguments), selected[0], found
  return load


def test_what_a_training_is(of_training):
  model, _, found = of_training('')
  assert model.description == {
      'kind': 'training', 'checkpoint': '/there/ckpt-7', 'step': 7, 'ema': True}
  assert model.class_names == ['class 0', 'class 1', 'class 2']
  assert model.known == {'label_offset': 1} and model.is_training
  assert of_training('', names_known=list('abc'))[0].class_names == list('abc')
  # As it is served: without dropout, in float32.
  answered = model.logits(batch_of([b'', b'']))
  assert answered.tolist() == [np.float32([1.001, 2.002, 0]).tolist()] * 2
  assert found.model.asked == [False]


@pytest.mark.parametrize('path, arguments, selected', [
    ('', (), ('', 'latest', None)), ('', ('best', False), ('', 'best', False)),
    ('/ckpt-7', ('latest', True), ('', '/ckpt-7', True)),
    ('/best/ckpt-7', (), ('', '/best/ckpt-7', None))])
def test_the_weights_that_are_asked_for(
    of_training, tmp_path, path, arguments, selected):
  folder, checkpoint, ema = selected
  _, found, _ = of_training(path, *arguments)
  if checkpoint.startswith('/'):
    checkpoint = f'{tmp_path}{checkpoint}'
  assert found == (f'{tmp_path}{folder}', trained_model.Selection(
      checkpoint, ema))


def test_a_checkpoint_without_its_training_is_looked_for_beside_it(
    of_training, tmp_path):
  (tmp_path / 'params.yaml').unlink()
  _, (folder, _), _ = of_training('/ckpt-7')
  assert folder == str(tmp_path)


def test_the_loss_is_that_of_the_task(of_training):
  logits = np.float32([[1, 2, 0], [3, 0, 0]])
  logarithms = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
  plain, smoothed = (of_training('', task={'losses': {
      'one_hot': one_hot, 'label_smoothing': smoothing}})[0].loss(
          logits, np.array([1, 2])) for one_hot, smoothing in (
              (False, 0), (True, 0.3)))
  # That of the labels, and the model's own.
  expected = -(logarithms[0, 1] + logarithms[1, 2]) / 2
  assert plain == pytest.approx(expected + 2, rel=1e-5)
  assert smoothed == pytest.approx(
      0.7 * expected - 0.3 * logarithms.mean() + 2, rel=1e-5)


@pytest.mark.parametrize('precision, is_told', [
    ('', False), ('float32', False), ('bfloat16', True)])
def test_another_precision_is_told(of_training, precision, is_told):
  model, _, _ = of_training('', runtime={'mixed_precision_dtype': precision})
  assert [note for note in model.notes() if 'float32' in note] == (
      [f'{model.path}: evaluated in float32, as it is served; trained in '
       f'{precision}, in which the logged accuracies may differ a little']
      if is_told else [])


@pytest.mark.parametrize('several', [False, True])
def test_several_labels_per_image(of_training, several):
  model, _, _ = of_training('', task={'train_data': {
      'is_multilabel': several}})
  assert model.is_multilabel is several
