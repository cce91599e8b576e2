"""Tests of the process that runs the step."""

import pytest

from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process

SMALL = dict(model_name='vit-ti16', image_size=32, batch_size=2)


@pytest.mark.parametrize('layout, mode', [
    ('B6-6', 'train'),
    *(pytest.param(layout, mode, marks=pytest.mark.long)
      for layout in ('vit', 'B6-6') for mode in settings_lib.MODES
      if (layout, mode) != ('B6-6', 'train'))])
def test_a_step_is_counted_and_trains(layout, mode):
  run, count = step_process.build_step(settings_lib.Settings(
      layout=layout, mode=mode, **SMALL))
  results = [run() for _ in range(3)]
  assert count() >= 3
  before = count()
  run()
  assert count() == before + 1
  assert (results[-1] < results[0]) == (mode == 'train')
