"""Tests of the places that commands write to, and of their tables."""

import csv
import io

import pytest

from official_ext.command_line import output_files


def test_the_output_dir_must_be_a_folder(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(OSError, match='file is a file. Name a folder.'):
    output_files.make_folder(f'{tmp_path}/file', '--output_dir=file')


def test_where_nothing_can_be_written(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(OSError, match=r'--output=.*/x.png: .*file is a file'):
    output_files.make_folders([f'{tmp_path}/file/x.png'])
  with pytest.raises(OSError, match=r'--output=.*tmp.* is a folder'):
    output_files.make_folders([str(tmp_path)])
  with pytest.raises(OSError, match='--output_dir=/proc/new: /proc/new cannot'):
    output_files.make_folder('/proc/new', '--output_dir=/proc/new')
  output_files.make_folders([f'{tmp_path}/new/x.png'])
  assert not list((tmp_path / 'new').iterdir())


def test_a_table_as_csv():
  assert output_files.csv_text(
      ['image', 'value'],
      [['a, b', 0.5], ['c', None], ['d', float('nan')], ['"e"', 1]]
  ) == b'image,value\n"a, b",0.5\nc,\nd,\n"""e""",1\n'


def test_what_a_reader_takes_for_the_end_of_a_line_is_quoted():
  cells = ['a\rb', 'c\nd', 'e,"f"', 'g\r\n']
  line = output_files.csv_line(cells)
  assert line == b'"a\rb","c\nd","e,""f""","g\r\n"\n'
  assert list(csv.reader(io.StringIO(line.decode(), newline=''))) == [cells]


def test_values_as_json():
  assert output_files.json_text({'name': '\xe9', 'value': None}) == (
      b'{\n  "name": "\xc3\xa9",\n  "value": null\n}\n')
  with pytest.raises(ValueError, match='not JSON compliant'):
    output_files.json_text({'value': float('inf')})
