"""Tests of the throughput: what is counted, and what is not."""

import pytest

from official_ext.training import throughput as throughput_lib


def test_the_first_step_is_not_counted():
  throughput = throughput_lib.Throughput(global_batch_size=8)
  throughput.begin_loop()
  throughput.add_first_step(30)
  assert throughput.compile_seconds == 30
  assert throughput.loop_steps_per_second is None
  assert throughput.images_per_second(None) is None
  throughput.add(10, 2)
  assert throughput.loop_steps_per_second == 5
  assert throughput.images_per_second(5) == 40


def test_a_loop_and_the_whole_run():
  throughput = throughput_lib.Throughput(global_batch_size=1)
  throughput.begin_loop()
  throughput.add(10, 1)
  throughput.begin_loop()
  assert throughput.loop_steps_per_second is None
  throughput.add(10, 3)
  throughput.add(10, 1)
  assert throughput.loop_steps_per_second == 5
  assert throughput.run_steps_per_second == 6


@pytest.mark.parametrize('steps, seconds, expected', [
    (0, 0, 1), (10, 1, 10), (1, 20, 1), (500, 2, 250)])
def test_progress_moves_about_once_a_second(steps, seconds, expected):
  throughput = throughput_lib.Throughput(global_batch_size=1)
  throughput.begin_loop()
  throughput.add(steps, seconds)
  assert throughput.steps_until_update() == expected
