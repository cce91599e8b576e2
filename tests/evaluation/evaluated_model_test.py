"""Tests of what can be evaluated, and that all of it is evaluated alike."""

import json
import pathlib
import shutil

import numpy as np
import pytest

from official_ext.evaluation import evaluated_model
from official_ext.evaluation import run
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.trained import trained_model


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
