"""Tests of which mistakes are kept."""

import numpy as np

from official_ext.evaluation import mistakes


def worst(most, size):
  labels = np.array([0, 0, 1, 1, 0])
  logits = np.array([[0, 1], [1, 0], [3, 0], [2, 0], [0, 3]], float)
  own = np.array([1.3, 0.3, 3.1, 2.1, 3.1])
  encoded = np.array([f'file {index}'.encode() for index in range(5)], object)
  found = mistakes.Worst(most)
  for start in range(0, 5, size):
    part = slice(start, start + size)
    found.add(encoded[part], labels[part], logits[part], own[part])
  return found.found()


def test_the_worst_come_first():
  for size in (1, 2, 5):
    # Image 1 is right; of the equal ones the first record comes first.
    assert [(one.number, one.encoded, one.label, one.predicted,
             one.cross_entropy) for one in worst(9, size)] == [
                 (2, b'file 2', 1, 0, 3.1), (4, b'file 4', 0, 1, 3.1),
                 (3, b'file 3', 1, 0, 2.1), (0, b'file 0', 0, 1, 1.3)]


def test_no_more_than_asked_for_are_kept():
  assert [one.number for one in worst(2, 2)] == [2, 4]
  assert [one.number for one in worst(1, 5)] == [2]
  assert worst(0, 2) == []
