"""Tests of the comparison of exports with their checkpoint."""

import re
import shutil

import commands
import numpy as np
import pytest
import records_for_tests

from official_ext.serving import single_file
from official_ext.serving import verification
from official_ext.trained import trained_model
from official_ext.trained import validation_data


def test_the_command(repository, trained_dir, export_dir, digits_dir, tmp_path):
  folder = tmp_path / 'all'
  shutil.copytree(export_dir, folder)
  single_file.export(trained_dir, str(folder), 'tflite')
  arguments = ('-m', 'official_ext.serving.verify_export', folder,
               f'--data={digits_dir}/validation-*')
  result = commands.run(
      *arguments, '--num_images=50', '--batch_sizes=1,3', cwd=repository)
  assert (result.returncode, result.stderr) == (0, '')
  first, _, *table = result.stdout.splitlines()
  assert first.startswith(f'50 images, {trained_dir}/ckpt-10')
  header, _, *rows = [
      [cell.strip() for cell in line[1:-1].split('|')] for line in table]
  assert header[-4:] == ['ms at batch 1', 'ms at batch 3',
                         'images/s at batch 1', 'images/s at batch 3']
  assert [row[0] for row in rows] == [
      'checkpoint', 'SavedModel', 'LiteRT float32']
  # Correct to rounding, so the same images are right.
  assert len({tuple(row[1:3]) for row in rows}) == 1
  for row in rows[1:]:
    assert 0 <= float(row[3]) < 1e-4
    # Throughput is the batch over the latency.
    assert float(row[-1].replace(',', '')) == pytest.approx(
        3e3 / float(row[-3]), rel=0.01)


@pytest.mark.long
def test_the_command_fails(repository, trained_dir, export_dir, digits_dir,
                           tmp_path):
  shutil.copytree(export_dir, tmp_path / 'all')
  single_file.export(trained_dir, str(tmp_path / 'all'), 'tflite')
  failed = commands.run(
      '-m', 'official_ext.serving.verify_export', tmp_path / 'all',
      f'--data={digits_dir}/validation-*', '--num_images=5', '--batch_sizes=',
      '--tolerance=0', cwd=repository)
  assert failed.returncode == 1
  # The SavedModel runs the same operations, and may agree to the last bit.
  assert re.fullmatch(
      r'error: (SavedModel, )?LiteRT float32: logits differ from the '
      r'checkpoint by more than --tolerance=0\.0\.\n', failed.stderr)


def test_accuracy_is_counted_image_by_image():
  accuracy = verification.Accuracy()
  logits = np.eye(8, dtype=np.float32)[[0, 1, 2]] + np.linspace(0, 0.1, 8)
  # Right; not the first but among five; not among five.
  accuracy.add(logits, np.array([0, 7, 0]), logits + [[0.5], [0], [0]])
  assert (accuracy.num_images, accuracy.num_top_1, accuracy.num_top_5) == (
      3, 1, 2)
  assert accuracy.max_difference == pytest.approx(0.5)
  accuracy.add(logits, np.array([0, 1, 2]), logits)
  assert (accuracy.num_images, accuracy.num_top_1) == (6, 4)
  assert accuracy.max_difference == pytest.approx(0.5)
  accuracy.add(logits * np.nan, np.array([0, 1, 2]), logits)
  assert np.isnan(accuracy.max_difference)
  accuracy.add(logits, np.array([0, 1, 2]), logits)
  assert not accuracy.max_difference <= 1


def test_records_that_are_not_there(trained_dir, tmp_path):
  trained = trained_model.find(trained_dir)
  with pytest.raises(ValueError, match='no file matches .*nowhere'):
    next(validation_data.read_records(trained, 'nowhere/*', None))
  empty = records_for_tests.write(tmp_path / 'empty', [])
  with pytest.raises(ValueError, match='there is no record'):
    next(validation_data.read_records(trained, empty, None))


def test_exports_of_different_weights():
  class Export:

    def __init__(self, path, step):
      self.path = path
      self.description = {'source': {'step': step}, 'preprocessing': {}}

  same = [Export('a', 1), Export('b', 1)]
  assert verification.common_source(same) == {'step': 1}
  with pytest.raises(ValueError, match='a and c are not exports of the same'):
    verification.common_source([*same, Export('c', 2)])


def test_a_training_that_has_moved(tmp_path):
  (tmp_path / 'best').mkdir()
  for name in ('ckpt-10', 'best/best_ckpt-2'):
    (tmp_path / f'{name}.index').touch()
    assert verification.locate(f'/gone/{name}', str(tmp_path)) == (
        f'{tmp_path}/{name}', str(tmp_path))
  with pytest.raises(ValueError, match='has no checkpoint ckpt-11, of which'):
    verification.locate('/gone/ckpt-11', str(tmp_path))


def test_where_the_training_is(trained_dir, tmp_path):
  for checkpoint in (f'{trained_dir}/ckpt-10', f'{trained_dir}/best/ckpt-10'):
    assert verification.locate(checkpoint, None) == (checkpoint, trained_dir)
  with pytest.raises(ValueError, match='with --model_dir'):
    verification.locate(str(tmp_path / 'gone' / 'ckpt-1'), None)
