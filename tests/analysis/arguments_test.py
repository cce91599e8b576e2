"""Tests of what commands are given."""

import pytest

from official_ext.analysis import arguments


def test_the_output_dir_must_be_a_folder(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(OSError, match='file is a file. Name a folder.'):
    arguments.make_folder(f'{tmp_path}/file', '--output_dir=file')


def test_where_nothing_can_be_written(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(OSError, match=r'--output=.*/x.png: .*file is a file'):
    arguments.make_folders([f'{tmp_path}/file/x.png'])
  with pytest.raises(OSError, match=r'--output=.*tmp.* is a folder'):
    arguments.make_folders([str(tmp_path)])
  with pytest.raises(OSError, match='--output_dir=/proc/new: /proc/new cannot'):
    arguments.make_folder('/proc/new', '--output_dir=/proc/new')
  arguments.make_folders([f'{tmp_path}/new/x.png'])
  assert not list((tmp_path / 'new').iterdir())
