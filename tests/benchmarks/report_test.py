"""Tests of the tables and the figure, on made-up measurements."""

import dataclasses
import re

import pytest

from official_ext.benchmarks import csv_file
from official_ext.benchmarks import figure
from official_ext.benchmarks import report
from official_ext.benchmarks import settings as settings_lib


def row(layout, times_ms, activations_mib=None, baseline=None, **settings):
  sizes = {'vit': (100, 1000), 'B12': (80, 1000), 'B6-6': (50, 600)}[layout]
  return report.Row(
      settings=settings_lib.Settings(layout=layout, **settings),
      layout_with_tokens={'B6-6': 'B6(197)-6(99)'}.get(layout, 'B12(197)'),
      parameters=86_600_000, multiply_adds=sizes[0] * 10**9,
      saved_activations=sizes[1], times_ms=times_ms,
      activations_mib=activations_mib,
      status='ok' if times_ms else report.OUT_OF_MEMORY,
      peak_gib=1.5 if times_ms else None, peak_of='resident',
      activations_backend='cpu' if activations_mib else '',
      baseline=baseline)


@pytest.fixture
def rows():
  baseline = row('vit', [420., 400., 390.], 1000.)
  return [baseline,
          row('B12', [300., 320., 310.], 700., baseline=baseline),
          row('B6-6', [200., 160., 250.], 350., baseline=baseline)]


def test_compares_by_the_medians(rows):
  comparison = report.compare(rows[2], rows[0])
  assert comparison.speed_up == 400 / 200
  assert comparison.ceiling == 100 / 50
  assert comparison.of_ceiling == 1
  assert comparison.memory_saved == 0.65
  assert comparison.ideal_memory_saved == 0.4
  assert rows[2].images_per_second == 8 / 0.2


def test_different_batches_compare_by_the_image():
  small, large = row('vit', [100.], 100., batch_size=8), row(
      'B6-6', [200.], 100., batch_size=32)
  comparison = report.compare(large, small)
  assert comparison.speed_up == 2
  assert comparison.memory_saved == 0.75


def test_the_tables(rows):
  lines = report.format_tables(rows).splitlines()
  assert max(len(line) for line in lines) <= 80
  assert [line.split()[-4:] for line in lines[2:4]] == [
      ['25.81', '1.29', '1.25', '103%'], ['40', '2.00', '2.00', '100%']]
  assert '200 (160 to 250)' in lines[3]
  assert lines[7].split() == [
      'B12(197)', '86.6', '1.50', '700', '30.0%', '0.0%']
  assert lines[-1] == (
      'pooling alone, B6(197)-6(99) against B12(197): 1.55x, 50.0% saved')


def test_batches_that_differ_have_a_column(rows):
  assert ' batch ' not in report.format_tables(rows)
  rows[2].settings = rows[2].settings.replace(batch_size=84)
  lines = report.format_tables(rows).splitlines()
  assert lines[0].split()[:2] == ['batch', 'GMACs']
  assert re.search(r'vit +8 ', lines[1])
  assert re.search(r'\(99\) +84 ', lines[3])


def test_small_models_are_told_apart(rows):
  rows[1].multiply_adds, rows[2].multiply_adds = 16_220_000, 9_731_000
  rows[1].parameters = 208_970
  lines = report.format_tables(rows).splitlines()
  assert [line.split()[1] for line in lines[2:4]] == ['0.0162', '0.00973']
  assert lines[7].split()[1] == '0.209'


def written(rows):
  """The lines of the CSV file of rows."""
  return csv_file.parse(csv_file.dump(
      [report.columns(row) for row in rows], {})).rows


def test_kinds_of_pooling_are_named():
  assert [row('B6-6', [1.], pooling=pooling, attention_bias=bias).name
          for pooling, bias in (
              ('', ''), ('conv', 'none'), ('mean', 'proportional'))] == [
                  'B6(197)-6(99)', 'B6(197)-6(99), conv',
                  'B6(197)-6(99), mean, proportional']


def test_out_of_memory_is_a_row(rows, tmp_path):
  for without in range(3):
    measured = [dataclasses.replace(one, baseline=None) for one in rows]
    measured[without] = row(rows[without].settings.layout, [])
    for one in measured[1:]:
      one.baseline = measured[0]
    text = report.format_tables(measured)
    assert text.count('out of memory') == 1
    read = written(measured)
    assert read[without]['status'] == 'out of memory'
    assert read[without]['median_ms'] == read[without]['speed_up'] == ''
    figure.draw(str(tmp_path / 'rows.png'), measured, 'a machine')


def test_csv_has_every_figure(rows):
  read = written(rows)
  assert [line['layout'] for line in read] == ['vit', 'B12', 'B6-6']
  last = read[2]
  assert (last['median_ms'], last['min_ms'], last['max_ms']) == (
      '200', '160', '250')
  assert last['images_per_second'] == '40'
  assert last['timed_steps'] == '3'
  assert last['speed_up'] == '2'
  assert last['memory_saved'] == '0.65'
  assert last['activations_compiled_for'] == 'cpu'


def test_each_is_taken_where_it_is_fastest():
  rows = [row('vit', [400.]), row('B6-6', [250.]),
          row('vit', [300.], xla=True), row('B6-6', [260.], xla=True)]
  lines = report.format_fastest(rows).splitlines()
  assert lines[1].startswith("  Model Garden's vit: 300 ms") and (
      'XLA on' in lines[1])
  assert lines[2].endswith('XLA off), 1.20x')
