"""Fixtures of the tests of the benchmarks."""

import input_shards
import pytest


@pytest.fixture(scope='session')
def data_dir(tmp_path_factory):
  return input_shards.write(tmp_path_factory.mktemp('records'))
