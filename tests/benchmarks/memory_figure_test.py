"""Tests of the figure of a long training."""

from official_ext.benchmarks import memory_figure
from official_ext.benchmarks import resident_memory


def test_the_figure_is_a_png(tmp_path):
  path = tmp_path / 'memory.png'
  memory_figure.draw(str(path), {'one_device': [
      resident_memory.Sample(step, 1000, 10, 10) for step in (10, 20, 30)]},
                     'a machine')
  assert path.read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'
