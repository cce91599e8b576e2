"""Tests of conversions on Apache Beam: the same bytes as from the pool."""

import sys

import conversions
import image_trees
import pytest

from data_prep import beam_pipeline
from data_prep import shards

RUNNER = ['--runner=DirectRunner', '--direct_num_workers=2']


@pytest.mark.parametrize('mode', ['in_memory', pytest.param(
    'multi_processing', marks=pytest.mark.long)])
def test_beam_and_the_pool_write_the_same(tmp_path, mode):
  image_trees.class_folders(tmp_path / 'in', {'a': 20, 'b': 15})
  (tmp_path / 'in/a/003.jpg').write_bytes(b'')
  conversions.convert(tmp_path / 'in', tmp_path / 'pool', max_corrupt=1)
  conversions.convert(
      tmp_path / 'in', tmp_path / 'beam', max_corrupt=1,
      runner=lambda tasks: beam_pipeline.convert(
          tasks, [*RUNNER, f'--direct_running_mode={mode}']))
  assert len(conversions.shards(tmp_path / 'beam')) == 16
  for name in ('manifest.json', 'quarantined.jsonl'):
    assert (tmp_path / 'pool' / name).read_bytes() == (
        tmp_path / 'beam' / name).read_bytes()
  assert conversions.shards(tmp_path / 'beam') == conversions.shards(
      tmp_path / 'pool')


def test_beam_goes_on_where_another_run_stopped(tmp_path):
  image_trees.class_folders(tmp_path / 'in', {'a': 20, 'b': 15})
  conversions.convert(tmp_path / 'in', tmp_path / 'pool')

  def stop_half_way(tasks):
    for task in tasks[:8]:
      shards.convert_shard(task)
    raise OSError('stopped')

  with pytest.raises(OSError, match='stopped'):
    conversions.convert(
        tmp_path / 'in', tmp_path / 'beam', runner=stop_half_way)
  conversions.convert(
      tmp_path / 'in', tmp_path / 'beam',
      runner=lambda tasks: beam_pipeline.convert(tasks, RUNNER))
  assert conversions.shards(tmp_path / 'beam') == conversions.shards(
      tmp_path / 'pool')


def test_without_beam_its_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'apache_beam', None)
  with pytest.raises(ValueError, match=r"pip install -e '\.\[beam\]'"):
    beam_pipeline.convert([], [])
