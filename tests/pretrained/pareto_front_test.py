"""Tests of the Pareto front."""

from official_ext.benchmarks import csv_file
from official_ext.pretrained import pareto_front


def test_the_front():
  def row(layout, gmacs, top_1):
    return {'layout': layout, 'gmacs': gmacs, 'top_1_percent': top_1}

  rows = [row('a', 3.0, 90.0), row('b', 1.0, 50.0), row('c', 2.0, 45.0),
          row('d', 1.0, 60.0), row('e', 4.0, 90.0), row('f', 2.5, 60.0),
          row('g', 5.0, 91.0)]
  assert [one['layout'] for one in pareto_front.find(rows)] == [
      'd', 'a', 'g']
  # As a file has them, where 100 is before 90 and 10.0 before 2.0.
  texts = csv_file.parse(csv_file.dump(
      [*rows, row('h', 6.0, 100.0), row('i', 10.0, 99.0)], {})).rows
  assert [one['layout'] for one in pareto_front.find(texts)] == [
      'd', 'a', 'g', 'h']
