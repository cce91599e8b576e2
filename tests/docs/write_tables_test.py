"""Tests of the tables in the pages: they say what the files of figures say."""

import re

import commands
import pytest
import write_layouts
import write_tables

from official_ext.benchmarks import csv_file

HEAD = {'command': 'python -m official_ext.benchmarks.serving --rounds=1',
        'date': '2026-11-28', 'machine': 'a CPU', 'versions': 'TensorFlow 2'}


@pytest.mark.parametrize('page', write_tables.PAGES, ids=lambda page: page.name)
def test_the_pages_agree_with_the_files(page):
  text = page.read_text()
  assert write_tables.page(text) == text, 'run make tables'


def test_every_file_of_figures_is_shown():
  shown = {name for page in write_tables.PAGES
           for name in re.findall(r'<!-- table: (\S+)', page.read_text())}
  assert shown == {path.name for path in write_tables.FIGURES.glob('*.csv')}


def test_a_file_that_changes_changes_the_page(tmp_path, monkeypatch):
  monkeypatch.setattr(write_tables, 'FIGURES', tmp_path)
  row = {'layout': 'B12', 'size_mb': 353, 'batch_1_ms': 161.04,
         'batch_1_ms_min': 15.84, 'batch_1_ms_max': 1168.0,
         'batch_1_images_per_second': 6.2, 'batch_1_speed_up': 1}
  csv_file.write(str(tmp_path / 'a.csv'), [row], HEAD)
  text = 'x\n<!-- table: a.csv -->\n| old |\n<!-- end -->\ny\n'
  lines = write_tables.page(text).splitlines()
  assert lines[:2] == ['x', '<!-- table: a.csv -->']
  assert lines[2].startswith('| layout | size, MB | ms at batch 1 | images/s')
  assert lines[4].startswith('| B12 | 353 | 161 (15.8 to 1,168) | 6.2 | 1x |')
  assert lines[6] == ('(`python -m official_ext.benchmarks.serving --rounds=1`:'
                      ' a CPU; TensorFlow 2; 2026-11-28.)')
  assert lines[7:] == ['<!-- end -->', 'y']


def test_of_many_layouts_the_front_is_shown(tmp_path, monkeypatch):
  monkeypatch.setattr(write_tables, 'FIGURES', tmp_path)
  rows = [dict(zip(('layout', 'pool_axes', 'pooling', 'gmacs',
                    'top_1_percent'), row)) for row in (
      ('B6(65)', '', '', 0.04, 80.0),
      ('B3(65)-3(17)', 'grid', 'max', 0.03, 79.5),
      ('B4(65)-2(17)', 'grid', 'max', 0.035, 70.0))]
  csv_file.write(str(tmp_path / 'a.csv'), rows, HEAD | {
      'command': 'python -m official_ext.pretrained.search_layouts --blocks=2'})
  assert write_tables.table('a.csv').splitlines()[:4] == [
      '| layout | pooled | GMACs |  | top-1 | points |',
      '| --- | --- | --- | --- | --- | --- |',
      '| `B3(65)-3(17)` | max, grid | 0.03000 | -25% | 79.50 % | -0.50 |',
      '| `B6(65)` |  | 0.04000 | +0% | 80.00 % | +0.00 |']
  # The ViT is shown though a cheaper layout is as good.
  rows[1]['top_1_percent'] = 80.0
  csv_file.write(str(tmp_path / 'a.csv'), rows, HEAD | {
      'command': 'python -m official_ext.pretrained.search_layouts --blocks=2'})
  assert [line.split()[1] for line in write_tables.table(
      'a.csv').splitlines()[2:4]] == ['`B3(65)-3(17)`', '`B6(65)`']


def test_figures_without_their_origin_are_refused(tmp_path, monkeypatch):
  monkeypatch.setattr(write_tables, 'FIGURES', tmp_path)
  head = {key: value for key, value in HEAD.items() if key != 'machine'}
  csv_file.write(str(tmp_path / 'a.csv'), [{'layout': 'B12'}], head)
  with pytest.raises(ValueError, match='machine'):
    write_tables.table('a.csv')
  with pytest.raises(ValueError, match=r'b\.csv is not in'):
    write_tables.table('b.csv')


@pytest.mark.parametrize('name', write_layouts.COMMANDS)
def test_the_costs_of_layouts_are_what_the_command_prints(name, repository):
  path = write_tables.FIGURES / name
  printed = commands.run(
      '-m', *write_layouts.COMMANDS[name], cwd=repository).stdout
  assert csv_file.read(str(path)).rows == write_layouts.rows(printed), (
      'run make tables')


def test_the_table_in_what_a_command_prints():
  assert write_layouts.rows(
      'budget: 3\nlayout    GMACs  kept, MiB\nB1(2)  1.0   2 %\nkept: x\n') == [
          {'layout': 'B1(2)', 'GMACs': '1.0', 'kept, MiB': '2 %'}]
