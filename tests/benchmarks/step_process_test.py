"""Tests of the process that runs the step, and of its other end."""

import math

import pytest

from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process

SMALL = dict(model_name='vit-ti16', image_size=32, batch_size=2)


@pytest.mark.slow
@pytest.mark.parametrize('layout, mode', [
    ('B1-1', 'train'),
    *(pytest.param(layout, mode, marks=pytest.mark.long)
      for layout in ('vit', 'B6-6') for mode in settings_lib.MODES)])
def test_a_step_is_counted_and_trains(layout, mode):
  run, count = step_process.build_step(settings_lib.Settings(
      layout=layout, mode=mode, **SMALL))
  results = [run() for _ in range(3)]
  assert count() >= 3
  before = count()
  run()
  assert count() == before + 1
  assert (results[-1] < results[0]) == (mode == 'train')


@pytest.mark.long
@pytest.mark.parametrize('layout, maps', [
    ('vit', 'recovered_0'), ('B1-1', 'pyramid')])
def test_a_step_with_feature_maps_trains(layout, maps):
  run, count = step_process.build_step(settings_lib.Settings(
      layout=layout, feature_maps=maps, **SMALL))
  results = [run() for _ in range(3)]
  # 21 classes, of which nothing is known at first.
  assert results[0] == pytest.approx(math.log(21), rel=0.2)
  assert results[-1] < results[0] and count() >= 3


@pytest.mark.long
def test_out_of_memory_is_noticed():
  with pytest.raises(step_process.OutOfMemoryError):
    settings = settings_lib.Settings(
        layout='B12', model_name='vit-l16', batch_size=64,
        memory_limit_gib=1.5)
    with step_process.Worker(settings) as process:
      process.run_steps(1)


@pytest.mark.long
def test_a_killed_process_is_named(capsys):
  settings = settings_lib.Settings(layout='B1', **SMALL)
  with step_process.Worker(settings) as process:
    process._process.kill()
    with pytest.raises(step_process.OutOfMemoryError, match='ended with -9'):
      process.run_steps(1)
  assert 'layout B1 was killed (signal 9)' in capsys.readouterr().err


@pytest.mark.long
def test_another_failure_is_not_taken_for_it():
  settings = settings_lib.Settings(
      layout='B1', params_override='task.model.num_classes=-3', **SMALL)
  with pytest.raises((step_process.WorkerError, ValueError)):
    step_process.Worker(settings)
