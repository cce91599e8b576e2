"""Tests of the command that searches layouts, of its file and its figure."""

import re

import commands
import pictures
import pytest

from official_ext.benchmarks import csv_file
from official_ext.pretrained import layout_report
from official_ext.pretrained import layout_search
from official_ext.trained import trained_model

MODULE = 'official_ext.pretrained.search_layouts'


def search(repository, trained_dir, folder, *flags):
  return commands.run(
      '-m', MODULE, f'--checkpoint={trained_dir}', f'--output_dir={folder}',
      '--num_images=40', *flags, cwd=repository)


@pytest.fixture(name='evaluated')
def _evaluated(monkeypatch):
  """The layouts that are evaluated, each of them as good as it is dear."""
  found = []

  def evaluate(trained, wanted, batches):
    del trained
    num_images = sum(len(batch.labels) for batch in batches)
    for one in wanted:
      found.append(one)
      yield dict(zip(layout_search.COLUMNS, (
          one.layout, one.pool_axes, one.pooling, one.gmacs, num_images,
          30_000 * one.gmacs, 99.5, 1.0)))

  monkeypatch.setattr(layout_search, 'evaluate', evaluate)
  return found


@pytest.mark.long
def test_a_search_goes_on_where_it_was(
    repository, trained_dir, tmp_path, evaluated):
  trained = trained_model.find(trained_dir)
  everything = layout_search.candidates(trained, [2])
  # The splits at a stride of 4, by 2 axes and 2 poolings, and the ViT.
  limit = everything[0].gmacs
  assert everything[3].gmacs == limit < everything[4].gmacs
  first = search(repository, trained_dir, tmp_path, '--blocks=2',
                 f'--max_gmacs={limit}')
  assert first.returncode == 0, first.stderr
  assert len(evaluated) == 5
  table = csv_file.read(tmp_path / 'layouts.csv')
  assert table.head['images'] == '40'
  assert [row['layout'] for row in table.rows] == [
      one.layout for one in evaluated]
  pictures.check(tmp_path / 'layouts.png', 3, 2)
  second = search(repository, trained_dir, tmp_path, '--blocks=2')
  assert second.returncode == 0, second.stderr
  again = csv_file.read(tmp_path / 'layouts.csv')
  assert again.rows[:5] == table.rows
  assert {one.key for one in evaluated} == {one.key for one in everything}
  assert len(evaluated) == len(everything) == len(again.rows)
  assert second.stdout.startswith(
      f'{len(everything)} layouts on 40 images; {everything[-1].layout}: ')


@pytest.mark.slow
def test_a_default_of_more_blocks_than_layers(
    repository, trained_dir, tmp_path, evaluated):
  result = search(repository, trained_dir, tmp_path)
  assert result.returncode == 0, result.stderr
  wanted = layout_search.candidates(trained_model.find(trained_dir), [2])
  assert [one.key for one in evaluated] == [one.key for one in wanted]


@pytest.mark.long
def test_a_search_of_its_own(repository, trained_dir, tmp_path):
  result = search(repository, trained_dir, tmp_path, '--blocks=2')
  assert result.returncode == 0, result.stderr
  rows = csv_file.read(tmp_path / 'layouts.csv').rows
  assert len(rows) >= 9
  assert all(0 <= float(row['top_1_percent']) <= 100 and
             float(row['top_1_percent']) * 40 % 100 == 0 for row in rows)


@pytest.mark.parametrize('flags, message', [
    (['--max_gmacs=-1'], '--max_gmacs=-1.0 must be above 0'),
    (['--blocks=2,7'], 'layers, which are not 7 blocks'),
])
def test_mistakes(repository, trained_dir, tmp_path, flags, message):
  result = search(repository, trained_dir, tmp_path, *flags)
  assert result.returncode == 1
  assert message in result.stderr
  assert 'Traceback' not in result.stderr
  assert not (tmp_path / 'layouts.csv').exists()


def rows():
  keys = ('layout', 'pool_axes', 'pooling', 'gmacs', 'images', 'top_1_percent',
          'top_5_percent', 'seconds')
  return [dict(zip(keys, one)) for one in (
      ('B3(17)', '', '', 0.002, 400, 90.0, 99.0, 1.0),
      ('B2(17)-1(9)', 'grid', 'mean', 0.0015, 400, 88.0, 99.0, 1.0),
      ('B1(17)-2(9)', 'sequence', 'max', 0.0012, 400, 70.0, 95.0, 1.0),
      ('B1(17)-2(9)', 'sequence', 'mean', 0.0012, 400, 80.0, 95.0, 1.0))]


def test_the_best_at_each_budget():
  # sqrt(0.9 * 0.1 / 400) is 0.015.
  title, heading, header, *lines = layout_report.table(rows()).splitlines()
  assert title == (
      '4 layouts on 400 images; B3(17): 0.002000 GMACs, top-1 90.00 % '
      '(standard error 1.50 points)')
  assert heading == 'the best at each budget:'
  assert [re.split('  +', line) for line in (header, *lines)] == [
      ['layout', 'budget, GMACs', 'GMACs', 'top-1', 'points', 'top-5'],
      ['B1(17)-2(9) mean, sequence', 'from 0.001200 to 0.001500', '-40.0%',
       '80.00 %', '-10.00', '95.00 %'],
      ['B2(17)-1(9) mean, grid', 'from 0.001500 to 0.002000', '-25.0%',
       '88.00 %', '-2.00', '99.00 %'],
      ['B3(17)', 'from 0.002000', '+0.0%', '90.00 %', '+0.00', '99.00 %']]


def test_a_file_that_another_process_left(tmp_path):
  head = {'command': 'c', 'checkpoint': 'a', 'step': '1', 'ema': 'False',
          'data': 'd', 'images': '400'}
  path = str(tmp_path / 'layouts.csv')
  assert layout_report.read(path, head) == []
  layout_report.write(path, rows(), head)
  assert layout_report.read(path, head | {'command': 'other'}) == rows()
  # Of other images, or other weights, nothing is mixed in.
  with pytest.raises(ValueError, match=(
      "is of another search: step is '1' there and '2' here; images is '400' "
      "there and '30' here. Name another --output_dir, or remove")):
    layout_report.read(path, head | {'step': '2', 'images': '30'})


def test_the_figure():
  figure = layout_report.draw(rows())
  axes, = figure.axes
  assert axes.get_title() == 'B3(17) as 4 layouts, without any training'
  front = axes.get_lines()[0]
  assert front.get_xdata().tolist() == [0.0012, 0.0015, 0.002]
  assert front.get_ydata().tolist() == [80, 88, 90]
  assert {text.get_text() for text in axes.texts} == {
      'B3(17)', 'B2(17)-1(9)', 'B1(17)-2(9)'}
  assert len(axes.collections) == 4
