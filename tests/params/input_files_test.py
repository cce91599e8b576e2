"""Tests of input paths: folders of any name, and patterns as before."""

import os
import shutil

from official.core import input_reader
import pytest
import short_runs

from official_ext.params import input_files
from official_ext.tasks import parsing
from official_ext.tasks import preflight

NAMES = [
    'photos, 2024', 'a[1]', '[!a]', 'a*b', 'a?b', 'a]b', '*', '?', '[', ',',
    '[]', '[,]', '~', 'back\\slash', ' space ', '#x', '%41', '{a,b}', '$HOME',
    "it's", 'q"q', '-dash', '.dot', 'caf\u00e9', '\u732b']


@pytest.mark.parametrize('name', NAMES)
def test_a_folder_is_taken_as_it_is(tmp_path, name):
  expected = []
  # What the name would match as a pattern lies beside it.
  for folder in {name, 'a1', 'aXb', 'X', 'photos', '1', 'b'}:
    (tmp_path / folder).mkdir()
    for shard in ('train-0', 'train-1', 'validation-0'):
      (tmp_path / folder / shard).write_bytes(b'')
      if folder == name and shard != 'validation-0':
        expected.append(f'{tmp_path}/{name}/{shard}')
  assert sorted(input_files.match(
      input_files.in_folder(f'{tmp_path}/{name}', 'train*'))) == expected
  assert sorted(input_files.match(
      input_files.of_flag(f'{tmp_path}/{name}/train*'))) == expected
  assert input_files.match(input_files.of_flag(expected[0])) == expected[:1]
  assert input_files.match([input_files.literal(path)
                            for path in expected]) == expected


@pytest.mark.parametrize('input_path, expected', [
    ('a*', ['a,b', 'a1', 'a2']), ('a[12]', ['a1', 'a2']), ('a?', ['a1', 'a2']),
    ('a1,b*', ['a1', 'b1', 'b2']), (['b1', 'a*, c'], [
        'b1', 'a,b', 'a1', 'a2', 'c']), ('no such file', ['no such file']),
    ('a1, ,', ['a1']), ('[x]1', ['[x]1']), ('a[,]b', ['a,b'])])
def test_what_is_typed_as_a_pattern_stays_one(
    tmp_path, monkeypatch, input_path, expected):
  for name in ('a1', 'a2', 'b1', 'b2', 'c', 'a,b', '[x]1', 'x1'):
    (tmp_path / name).write_bytes(b'')
  monkeypatch.chdir(tmp_path)
  found = input_files.match(input_path)
  # Of a relative pattern TensorFlow puts ./ before what it finds.
  assert [os.path.normpath(path) for path in found] == expected
  if 'a[' not in input_path:
    assert input_reader.match_files(input_path) == found


@pytest.mark.parametrize('input_path', ['x*', '', ' , ', [], ['a[12]']])
def test_what_matches_nothing(tmp_path, monkeypatch, input_path):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match='no file'):
    input_files.match(input_path)


@pytest.mark.slow
def test_a_task_reads_a_folder_of_any_name(digits_dir, tmp_path):
  folder = tmp_path / 'photos, 2024' / 'a[1]*?'
  shutil.copytree(digits_dir, folder)
  params = short_runs.parameters(str(folder))
  preflight.check_files(params.task, ['train_data', 'validation_data'])
  labels = [
      next(iter(parsing.read(task, task.validation_data, None)))[1][0].numpy()
      for task in (params.task, short_runs.parameters(digits_dir).task)]
  assert labels[0].tolist() == labels[1].tolist()


def test_home_is_replaced(digits_dir, monkeypatch):
  monkeypatch.setenv('HOME', os.path.dirname(digits_dir))
  params = short_runs.parameters(f'~/{os.path.basename(digits_dir)}', **{
      'task.class_names_path': '~/names.txt', 'task.init_checkpoint': '~/run',
      'task.validation_data.input_path': '~/valid*',
      'trainer.export.export_dir': '~/export'})
  home = os.path.dirname(digits_dir)
  assert params.task.data_dir == digits_dir
  assert params.task.train_data.input_path == f'{digits_dir}/train*'
  assert params.task.validation_data.input_path == f'{home}/valid*'
  assert params.task.class_names_path == f'{home}/names.txt'
  assert params.task.init_checkpoint == f'{home}/run'
  assert params.trainer.export.export_dir == f'{home}/export'
