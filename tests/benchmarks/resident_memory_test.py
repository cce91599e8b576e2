"""Tests of what a process holds, and of how fast that grows."""

import os
import threading

import numpy as np
import pytest

from official_ext.benchmarks import resident_memory

_MIB = 2**20


def samples(*resident_mib, threads=1, open_files=1):
  return [resident_memory.Sample(100 * number, mib, threads, open_files)
          for number, mib in enumerate(resident_mib, 1)]


def test_what_this_process_holds():
  before = resident_memory.measure(os.getpid(), 0)
  held = np.ones(64 * _MIB, np.uint8)
  ended = threading.Event()
  thread = threading.Thread(target=ended.wait)
  thread.start()
  with open(os.devnull, encoding='utf-8'):
    after = resident_memory.measure(os.getpid(), 7)
  ended.set()
  thread.join()
  assert after.step == 7
  assert after.resident_mib - before.resident_mib == pytest.approx(64, abs=8)
  assert after.threads == before.threads + 1
  assert after.open_files == before.open_files + 1
  assert held.all()


def test_growth_is_that_after_the_first_third():
  # Of 900 steps, 300 are the warm-up; 2 MiB in 100 steps after it.
  found = samples(1, 500, 90, 100, 102, 104, 106, 108, 110)
  growth = resident_memory.growth(found)
  assert growth.mib_per_1000_steps == pytest.approx(20)
  assert growth.resident_mib == (100, 110)


def test_what_goes_up_and_down_does_not_grow():
  found = samples(0, 0, 0, 10, 12, 11, 11, 12, 10)
  assert resident_memory.growth(found).mib_per_1000_steps == pytest.approx(0)


def test_threads_and_open_files_are_compared():
  found = [resident_memory.Sample(*numbers) for numbers in [
      (1, 5, 9, 9), (2, 5, 3, 4), (3, 5, 7, 6)]]
  growth = resident_memory.growth(found)
  assert growth.threads == (3, 7)
  assert growth.open_files == (4, 6)


def test_too_few_steps_for_a_slope():
  with pytest.raises(ValueError, match=r'there are \[100\]. Train longer'):
    resident_memory.growth(samples(5))
