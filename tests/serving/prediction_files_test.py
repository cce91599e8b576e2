"""Tests of what is written of predictions, and when."""

import csv
import json
import resource
import signal

import pytest

from official_ext.command_line import errors
from official_ext.serving import prediction_files
from official_ext.serving import predictions
from official_ext.serving.runtimes import classifier as classifier_lib

CAT = classifier_lib.Prediction(1, 'cat, tom', 0.75)
DOG = classifier_lib.Prediction(0, 'dog', 0.25)
RESULTS = [predictions.Result('a.png', [CAT, DOG]),
           predictions.Result('b.png', error='no image'),
           predictions.Result('caf\xe9.png', [DOG, CAT])]
AS_CSV = (
    'image,predicted_1,predicted_name_1,probability_1,predicted_2,'
    'predicted_name_2,probability_2,error\n'
    'a.png,1,"cat, tom",0.75,0,dog,0.25,\n'
    'b.png,,,,,,,no image\n'
    'caf\xe9.png,0,dog,0.25,1,"cat, tom",0.75,\n')
AS_JSON = {
    'format_version': 1, 'model': 'exports/]1', 'images': [
        {'image': 'a.png', 'predictions': [
            {'class': 1, 'name': 'cat, tom', 'probability': 0.75},
            {'class': 0, 'name': 'dog', 'probability': 0.25}]},
        {'image': 'b.png', 'error': 'no image'}]}
AS_TEXT = (
    'a.png\n   75.00 %  cat, tom\n   25.00 %  dog\n'
    'caf\xe9.png\n   25.00 %  dog\n   75.00 %  cat, tom\n')


def write(format_name, path, results):
  with prediction_files.create(format_name, path, 2, 'exports/]1') as file:
    for result in results:
      file.add(result)


def test_a_line_of_csv_for_each(tmp_path, capsys):
  path = tmp_path / 'a.csv'
  write('csv', str(path), RESULTS)
  assert path.read_text() == AS_CSV
  write('csv', None, RESULTS)
  assert capsys.readouterr().out == AS_CSV


def test_json(tmp_path):
  path = tmp_path / 'a.json'
  write('json', str(path), RESULTS[:2])
  # As a library would write it at once.
  assert path.read_text() == json.dumps(AS_JSON, indent=2) + '\n'


def test_text(capsys):
  write('text', None, RESULTS)
  assert capsys.readouterr().out == AS_TEXT


@pytest.mark.parametrize('name', [
    'a,b.png', 'a"b".png', 'a\nb.png', 'a\rb.png', ' a.png', 'a\\udcff.png'])
def test_names_of_files_come_back(tmp_path, name):
  path = tmp_path / 'a.csv'
  write('csv', str(path), [predictions.Result(name, [CAT, DOG])])
  with path.open(newline='') as file:
    row, = csv.DictReader(file)
  assert row['image'] == name and row['predicted_name_2'] == 'dog'


@pytest.mark.parametrize('kind', [KeyboardInterrupt, SystemExit, ValueError])
def test_what_is_computed_is_there(tmp_path, kind):
  table, described = tmp_path / 'a.csv', tmp_path / 'a.json'
  for path in (table, described):
    path.write_text('of an earlier call')
  for path, has_results in (
      (table, False), (described, False), (table, True), (described, True)):
    with pytest.raises(kind), prediction_files.create(
        path.suffix[1:], str(path), 2, 'exports/]1') as file:
      if has_results:
        for result in RESULTS[:2]:
          file.add(result)
          # Nothing waits in a buffer.
          assert result.image in path.read_text()
        assert file.num_results == 2
      raise kind
    if not has_results:
      assert path.read_text() == 'of an earlier call'
  assert table.read_text() == ''.join(AS_CSV.splitlines(keepends=True)[:3])
  assert json.loads(described.read_text()) == AS_JSON


def test_a_disk_that_is_full(tmp_path):
  table, described = tmp_path / 'a.csv', tmp_path / 'a.json'
  room = len(''.join(AS_CSV.splitlines(keepends=True)[:2])) + 5
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  try:
    for path, size in ((table, room), (described, 350)):
      resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
      with pytest.raises(errors.UserError, match=f'{path.name} cannot be writ'):
        write(path.suffix[1:], str(path), RESULTS)
      resource.setrlimit(resource.RLIMIT_FSIZE, limits)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, former)
  # Up to the last whole row.
  assert table.read_text() == ''.join(AS_CSV.splitlines(keepends=True)[:2])
  assert json.loads(described.read_text())['images'] == AS_JSON['images'][:1]
