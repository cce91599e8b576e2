"""Tests of what an evaluation writes, and where."""

import csv
import functools
import json
import os

import pytest

from official_ext.evaluation import confusion
from official_ext.evaluation import files
from official_ext.evaluation import results


def rows(folder, name):
  with open(folder / f'{name}.csv', encoding='utf-8', newline='') as file:
    return list(csv.DictReader(file))


def test_the_files(two_by_hand, tmp_path, monkeypatch):
  model, baseline = two_by_hand
  monkeypatch.setattr(files.confusion, 'grouped', functools.partial(
      confusion.grouped, max_rows=2))
  written = files.write(
      str(tmp_path), model, baseline, results.compare(model, baseline), 'data*')
  assert sorted(map(os.path.basename, written)) == sorted(os.listdir(tmp_path))
  assert set(os.listdir(tmp_path)) == {
      'evaluation.json', 'summary.csv', 'classes.csv', 'confusion.csv',
      'calibration.csv', 'images.csv', 'groups.csv', 'confusion.png',
      'calibration.png', 'mistakes.png'}
  described = json.loads((tmp_path / 'evaluation.json').read_text())
  assert described['data'] == 'data*'
  assert described['accuracy']['top_1']['value'] == 0.6
  assert described['baseline']['model']['path'] == 'runs/b'
  # Two heads of two tosses, and both tails.
  assert described['comparison']['p_value'] == 0.5
  figures = {(row['model'], row['figure']): row
             for row in rows(tmp_path, 'summary')}
  row = figures['runs/a', 'top_1_accuracy']
  assert [round(float(row[name]), 4) for name in ('value', 'low', 'high')] == [
      0.6, 0.2307, 0.8824]
  for name, value in (
      ('top_1_accuracy', 0.4), ('top_2_accuracy', 0), ('mcnemar_p_value', 0.5),
      ('cross_entropy', described['comparison']['cross_entropy']['value'])):
    assert float(figures['difference', name]['value']) == pytest.approx(value)
  for path, of_model in (('runs/a', described),
                         ('runs/b', described['baseline'])):
    for name, value in (
        ('loss', 1.25 if path == 'runs/a' else 2.5),
        ('expected_calibration_error',
         of_model['calibration']['expected_error']),
        ('maximum_calibration_error',
         of_model['calibration']['maximum_error']),
        *((f'mean_{name}', of_model['mean_of_classes'][name])
          for name in ('precision', 'recall', 'f1'))):
      assert float(figures[path, name]['value']) == value
  assert figures['runs/a', 'expected_calibration_error'] != figures[
      'runs/a', 'maximum_calibration_error']
  groups = [tuple(row.values()) for row in rows(tmp_path, 'groups')]
  assert sorted(row[1:] for row in groups) == [
      ('0', 'cat'), ('1', 'dog'), ('2', 'eel')]
  assert [row[0] for row in groups] == ['0', '0', '1']
  assert [tuple(row.values()) for row in rows(tmp_path, 'classes')][2] == (
      '2', 'eel', '1', '0', '', '0.0', '0.0')
  assert [tuple(row.values()) for row in rows(tmp_path, 'confusion')] == [
      ('0', 'cat', '0', 'cat', '2'), ('1', 'dog', '0', 'cat', '1'),
      ('1', 'dog', '1', 'dog', '1'), ('2', 'eel', '1', 'dog', '1')]
  bins = rows(tmp_path, 'calibration')
  assert sum(int(row['count']) for row in bins) == 5
  assert bins[0]['accuracy'] == ''
  for row in bins:
    assert float(row['above']) < float(row['up_to'])
    if row['accuracy']:
      assert float(row['above']) < float(row['confidence']) <= (
          float(row['up_to']) + 1e-6)
      assert float(row['low']) <= float(row['accuracy']) <= float(row['high'])
  images = rows(tmp_path, 'images')
  assert [row['predicted_name_1'] for row in images] == [
      'cat', 'cat', 'cat', 'dog', 'dog']
  assert float(images[4]['class_probability']) == pytest.approx(0.05, abs=1e-6)
  assert float(images[4]['probability_1']) == pytest.approx(0.9)
  assert [row['baseline_predicted_name'] for row in images] == [
      'cat', 'dog', 'cat', 'cat', 'dog']
  assert [float(row['baseline_probability']) for row in images] == (
      pytest.approx([0.7, 0.6, 0.5, 0.6, 0.6]))


def test_nothing_of_another_evaluation_is_left(tmp_path):
  (tmp_path / 'mine.txt').touch()
  files.write_all(str(tmp_path), {name: b'' for name in files.NAMES})
  files.write_all(str(tmp_path), {'summary.csv': b'new'})
  assert sorted(os.listdir(tmp_path)) == ['mine.txt', 'summary.csv']


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_a_run_that_fails_leaves_no_folder(tmp_path, error):
  with pytest.raises(error):
    with files.output_folder(f'{tmp_path}/new/deep'):
      assert (tmp_path / 'new/deep').is_dir()
      raise error
  assert os.listdir(tmp_path) == []
  # What was there, stays.
  (tmp_path / 'old').mkdir()
  with pytest.raises(error):
    with files.output_folder(f'{tmp_path}/old'):
      raise error
  assert os.listdir(tmp_path) == ['old']


def test_a_folder_that_cannot_be_written_to(tmp_path):
  (tmp_path / 'file').touch()
  for path in (f'{tmp_path}/file', f'{tmp_path}/file/new', '/proc/new'):
    with pytest.raises(ValueError, match=f'--output={path} cannot be written'):
      with files.output_folder(path):
        raise AssertionError('began')
  assert os.listdir(tmp_path) == ['file']
