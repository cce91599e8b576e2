"""Tests of what a refused start leaves behind."""

import pytest
import short_runs

from official_ext.training import new_folders


def test_a_refused_start_leaves_nothing(digits_dir, tmp_path):
  export_dir = tmp_path / 'exports/new'
  with pytest.raises(ValueError, match='classes'):
    short_runs.train(digits_dir, tmp_path / 'runs/new/run', **{
        'trainer.export.export_dir': str(export_dir),
        'task.model.num_classes': 5})
  assert not list(tmp_path.iterdir())


def test_what_was_there_stays(tmp_path):
  (tmp_path / 'there').mkdir()
  with pytest.raises(KeyError), new_folders.NewFolders() as folders:
    folders.make('--model_dir', str(tmp_path / 'there'))
    folders.make('--model_dir', str(tmp_path / 'there/a/b'))
    folders.make('trainer.export.export_dir', f'{tmp_path}/there/a/c/')
    folders.make('trainer.export.export_dir', f'{tmp_path}/d/e')
    (tmp_path / 'd/mine').touch()
    raise KeyError
  assert sorted(path.name for path in tmp_path.rglob('*')) == [
      'd', 'mine', 'there']


def test_what_is_needed_is_made(tmp_path):
  with new_folders.NewFolders() as folders:
    folders.make('--model_dir', str(tmp_path / 'a/b'))
  assert (tmp_path / 'a/b').is_dir()


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(ValueError, match='--model_dir=.*/file/a cannot be made'):
    with new_folders.NewFolders() as folders:
      folders.make('--model_dir', str(tmp_path / 'file/a'))
  assert [path.name for path in tmp_path.iterdir()] == ['file']
