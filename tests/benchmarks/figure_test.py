"""Tests of the figure of a benchmark; its rows are those of `report`."""

from official_ext.benchmarks import figure
from official_ext.benchmarks import report
from official_ext.benchmarks import settings as settings_lib


def row(layout, times_ms, baseline=None):
  return report.Row(
      settings=settings_lib.Settings(layout=layout),
      layout_with_tokens=layout, parameters=1, multiply_adds=10**9,
      saved_activations=100, times_ms=times_ms,
      status='ok' if times_ms else report.OUT_OF_MEMORY, baseline=baseline)


def test_the_figure_is_a_png(tmp_path):
  path = tmp_path / 'rows.png'
  vit = row('vit', [2.0])
  figure.draw(str(path), [vit, row('B6-6', [], vit)], 'a machine')
  assert path.read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'
