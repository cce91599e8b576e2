"""Tests of the command that classifies image files."""

import csv
import io
import json
import os
import shutil
import signal

import commands
from PIL import Image
import pytest
import records_for_tests
import short_runs

import official_ext
from official_ext.pretrained import importing
from official_ext.serving.formats import names
from official_ext.serving.formats import write
from official_ext.serving.runtimes import classifier
from official_ext.trained import trained_model


def test_the_most_probable_classes(repository, export_dir, serve, tmp_path):
  image = tmp_path / 'image.png'
  image.write_bytes(records_for_tests.encode('PNG', (8, 8), (10, 200, 90)))
  result = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={export_dir}',
      '--top_k=2', image, cwd=repository)
  assert (result.returncode, result.stderr) == (0, '')
  outputs = serve['default']([image.read_bytes()])
  assert result.stdout.splitlines() == [str(image)] + [
      f'  {100 * probability:6.2f} %  {name.decode()}'
      for name, probability in zip(
          outputs['top_classes'][0].numpy()[:2],
          outputs['top_probs'][0].numpy(), strict=False)]


@pytest.mark.long
def test_it_needs_no_model_garden(repository, export_dir):
  result = commands.run_alone(
      '-c', 'import sys; from official_ext.serving.runtimes import classifier; '
      f'classifier.Classifier({export_dir!r}); '
      "print(sorted({'official', 'tf_keras', 'orbit'} & set(sys.modules)))",
      cwd=repository)
  assert result.stdout == '[]\n', result.stderr


def test_a_file_that_is_missing_is_named_once(repository, export_dir):
  result = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={export_dir}',
      'nothing.jpg', cwd=repository)
  assert (result.returncode, result.stderr) == (
      1, 'error: nothing.jpg: No such file or directory\n')


@pytest.mark.slow
def test_a_folder_as_a_table_and_a_picture(
    repository, export_dir, digits_dir, tmp_path):
  images = short_runs.held_out_images(digits_dir)[:4]
  photos = tmp_path / 'photos'
  photos.mkdir()
  (photos / '0.png').write_bytes(images[0])
  (photos / '1.jpg').write_bytes(b'')
  for number, form in ((2, 'webp'), (3, 'tiff')):
    Image.open(io.BytesIO(images[number])).save(
        photos / f'{number}.{form}', lossless=True)
  table, grid = tmp_path / 'new' / 'table.csv', tmp_path / 'grid.png'
  result = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={export_dir}',
      '--batch_size=3', '--top_k=2', f'--output={table}', f'--grid={grid}',
      photos, cwd=repository)
  assert result.returncode == 1
  assert result.stderr.splitlines() == [
      f'error: {photos}/1.jpg: empty: zero bytes',
      f'wrote {grid}: 3 of 4 images',
      'error: 1 of 4 files were not classified; see above.']
  assert result.stdout == f'wrote {table}\n'
  assert Image.open(grid).format == 'PNG'

  # What Python is told.
  expected = official_ext.load(export_dir).classify(
      [str(path) for path in sorted(photos.iterdir()) if path.suffix != '.jpg'],
      top_k=2)
  rows = list(csv.DictReader(table.open()))
  assert [row['image'] for row in rows] == [
      f'{photos}/{name}' for name in ('0.png', '1.jpg', '2.webp', '3.tiff')]
  assert rows.pop(1)['error'] == 'empty: zero bytes'
  for row, classes in zip(rows, expected, strict=True):
    assert row['error'] == ''
    for rank, (name, probability) in enumerate(classes, 1):
      assert row[f'predicted_{rank}'] == row[f'predicted_name_{rank}'] == name
      assert float(row[f'probability_{rank}']) == pytest.approx(
          probability, rel=1e-5)


def test_json_is_printed_alone(repository, export_dir, tmp_path):
  (tmp_path / 'a.png').write_bytes(records_for_tests.encode('PNG', (8, 8)))
  result = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={export_dir}',
      '--format=json', '--top_k=1', tmp_path / 'a.png', cwd=repository)
  assert (result.returncode, result.stderr) == (0, '')
  found = json.loads(result.stdout)
  assert found['model'] == export_dir
  assert found['images'][0]['image'] == f'{tmp_path}/a.png'
  assert len(found['images'][0]['predictions']) == 1


@pytest.mark.slow
@pytest.mark.parametrize('arguments, status, told', [
    (['--output={}/a.csv'], 130, '{}/a.csv has the first 2 of 5 images\n'),
    (['--output={}/a.json'], 143, '{}/a.json has the first 2 of 5 images\n'),
    (['--format=csv'], 130, '')])
def test_an_interrupted_call_keeps_what_it_has(
    repository, export_dir, tmp_path, monkeypatch, arguments, status, told):
  paths = [tmp_path / f'{index}.png' for index in range(5)]
  for path in paths:
    path.write_bytes(records_for_tests.encode('PNG', (8, 8)))
  classify = classifier.Classifier.classify_all
  calls = []

  def interrupted(*arguments):
    calls.append(arguments)
    if len(calls) == 2:
      os.kill(os.getpid(), {130: signal.SIGINT, 143: signal.SIGTERM}[status])
    return classify(*arguments)

  monkeypatch.setattr(classifier.Classifier, 'classify_all', interrupted)
  result = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={export_dir}',
      '--batch_size=2', *(one.format(tmp_path) for one in arguments), *paths,
      cwd=repository)
  assert result.returncode == status
  assert result.stderr == told.format(tmp_path) + (
      'interrupted\n' if status == 130 else '')
  if status == 143:
    found = [one['image'] for one in json.loads(
        (tmp_path / 'a.json').read_text())['images']]
  else:
    rows = (tmp_path / 'a.csv').read_text() if told else result.stdout
    found = [row['image'] for row in csv.DictReader(io.StringIO(rows))]
  assert found == list(map(str, paths[:2]))


@pytest.mark.long
def test_a_training_that_is_exported_is_not_exported_again(
    repository, trained_dir, tmp_path, monkeypatch):
  run_dir = tmp_path / 'run'
  shutil.copytree(trained_dir, run_dir)
  shutil.rmtree(run_dir / 'export', ignore_errors=True)
  (tmp_path / 'a.png').write_bytes(records_for_tests.encode('PNG', (8, 8)))
  arguments = ['-m', 'official_ext.serving.predict', f'--model={run_dir}',
               tmp_path / 'a.png']
  before = commands.run(*arguments, cwd=repository)
  assert before.returncode == 0, before.stderr
  write.export(trained_model.find(str(run_dir)), names.SAVED_MODEL,
               str(run_dir / 'export' / 'last'))
  monkeypatch.setattr(write, 'export', None)
  after = commands.run(*arguments, cwd=repository)
  assert (after.stdout, after.stderr) == (before.stdout, '')


@pytest.mark.parametrize('arguments, message', [
    ([], 'name at least one image file, a folder of them, or a list'),
    (['--output=x.txt', 'a.png'], 'ends neither in .csv nor in .json'),
    (['--grid=x.jpg', 'a.png'], '--grid=x.jpg: name a .png file'),
    (['--grid=setup.py/x.png', 'README.md'], '--grid=setup.py/x.png: setup.py'),
    (['--output=setup.py/x.csv', 'README.md'], 'setup.py is a file'),
    (['*.nothing'], "no file matches '*.nothing'"),
    (['--output=.', 'README.md'], '--output=. ends neither in .csv nor'),
])
def test_what_is_wrong_is_told_before_the_model_is_read(
    repository, arguments, message):
  result = commands.run(
      '-m', 'official_ext.serving.predict', '--model=nowhere', *arguments,
      cwd=repository)
  assert result.returncode == 1 and message in result.stderr


def test_an_imported_vit_is_to_be_trained_first(repository, tmp_path):
  folder = tmp_path / 'a vit'
  folder.mkdir()
  (folder / importing.EXPERIMENT_FILE).touch()
  result = commands.run(
      '-m', 'official_ext.serving.predict', f'--model={folder}', 'README.md',
      cwd=repository)
  assert (result.returncode, result.stdout) == (1, '')
  assert result.stderr == (
      f'error: {folder} holds an imported ViT, which is not trained here '
      f"yet. Fine-tune it with --config_file='{folder}/"
      f"{importing.EXPERIMENT_FILE}', and give the --model_dir of that "
      'training.\n')
