"""Tests of the form of the benchmarks' tables."""

import datetime
import os
import re

import pytest

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import machine

HEAD = {'command': "python -m x --layouts='B12,B6(197)-6'",
        'machine': 'a\nmachine'}
ROWS = [{'layout': 'B12', 'ms': 1 / 3, 'note': None},
        {'layout': 'B6(197, m4096)-6', 'ms': 40.0, 'note': 'a "b"'}]
TEXT = """\
# command: python -m x --layouts='B12,B6(197)-6'
# machine: a machine
layout,ms,note
B12,0.3333333,
"B6(197, m4096)-6",40,"a ""b\"""
"""


def test_the_text():
  assert csv_file.dump(ROWS, HEAD) == TEXT


def test_what_is_written_is_read(tmp_path):
  csv_file.write(tmp_path / 'table.csv', ROWS, HEAD)
  table = csv_file.read(tmp_path / 'table.csv')
  assert table.head == {**HEAD, 'machine': 'a machine'}
  assert table.rows == [
      {'layout': 'B12', 'ms': '0.3333333', 'note': ''},
      {'layout': 'B6(197, m4096)-6', 'ms': '40', 'note': 'a "b"'}]


def test_without_a_head():
  assert csv_file.parse('a,b\n1\n') == csv_file.Table(
      {}, [{'a': '1', 'b': ''}], ('a', 'b'))
  assert csv_file.parse('a,b\n') == csv_file.Table({}, [], ('a', 'b'))
  assert csv_file.parse('') == csv_file.Table({}, [])


def test_the_head_of_a_run(monkeypatch):
  monkeypatch.setattr('sys.argv', ['x.py', '--layouts=B6(197)-6'])
  head = csv_file.describe_run('a.command')
  assert head.pop('command') == "python -m a.command '--layouts=B6(197)-6'"
  assert head.pop('date') == datetime.date.today().isoformat()
  assert head.pop('machine').endswith(
      f', {len(os.sched_getaffinity(0))} cores')
  assert re.fullmatch(
      r'TensorFlow [\d.]+, Model Garden [\d.]+, Python [\d.]+',
      head.pop('versions'))
  assert not head
  assert csv_file.describe_run('a', 'NVIDIA H100')['machine'] == 'NVIDIA H100'


def test_where_nothing_can_be_written(tmp_path):
  csv_file.check_writable(f'{tmp_path}/new/table.csv', '--output_csv')
  assert not list((tmp_path / 'new').iterdir())
  (tmp_path / 'file').write_text('kept')
  csv_file.check_writable(f'{tmp_path}/file', '--output_csv')
  assert (tmp_path / 'file').read_text() == 'kept'
  with pytest.raises(ValueError, match='cannot be written: .*--output_dir'):
    csv_file.check_writable(f'{tmp_path}/file/x.csv', '--output_dir')


def test_the_versions_of_pytorch_are_named_beside_its_rows(monkeypatch):
  monkeypatch.setattr(machine.metadata, 'version', lambda name: f'{name}-1')
  head = csv_file.describe_run('x', has_pytorch=True)
  assert 'PyTorch torch-1, timm timm-1, Python 3.' in head['versions']
  assert 'PyTorch' not in csv_file.describe_run('x')['versions']
