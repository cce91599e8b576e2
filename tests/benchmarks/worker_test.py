"""Tests of the other end of a benchmark process."""

import pytest

from official_ext.benchmarks import settings as settings_lib
from official_ext.benchmarks import step_process
from official_ext.benchmarks import worker

SMALL = dict(model_name='vit-ti16', image_size=32, batch_size=2)


@pytest.mark.long
def test_out_of_memory_is_noticed():
  with pytest.raises(step_process.OutOfMemoryError):
    settings = settings_lib.Settings(
        layout='B12', model_name='vit-l16', batch_size=64,
        memory_limit_gib=1.5)
    with worker.Worker(settings) as process:
      process.run_steps(1)


def test_a_killed_process_is_named(capsys):
  settings = settings_lib.Settings(layout='B1', **SMALL)
  with worker.Worker(settings) as process:
    process._process.kill()
    with pytest.raises(step_process.OutOfMemoryError, match='ended with -9'):
      process.run_steps(1)
  assert 'layout B1 was killed (signal 9)' in capsys.readouterr().err


def test_another_failure_is_not_taken_for_it():
  settings = settings_lib.Settings(
      layout='B1', params_override='task.model.num_classes=-3', **SMALL)
  with pytest.raises((step_process.WorkerError, ValueError)):
    worker.Worker(settings)
