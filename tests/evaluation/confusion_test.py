"""Tests of confusion matrices, whole and in groups."""

import numpy as np
import pytest
from scipy import sparse
from sklearn import metrics

from official_ext.evaluation import confusion


def test_the_matrix_is_that_of_scikit_learn():
  generator = np.random.default_rng(0)
  labels, predicted = generator.integers(0, 7, [2, 300])
  found = confusion.matrix(labels, predicted, 8)
  assert found.toarray().tolist() == metrics.confusion_matrix(
      labels, predicted, labels=range(8)).tolist()


def test_few_classes_stay_as_they_are():
  counts = confusion.matrix(np.array([0, 1, 1]), np.array([0, 1, 2]), 3)
  found = confusion.grouped(counts, max_rows=3)
  assert found.groups == [[0], [1], [2]]
  assert found.counts.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
  assert found.names('abc') == ['a', 'b', 'c']


def confused_in_pairs(num_classes):
  """Class i is taken for i + half, and the other way round, half the time."""
  half = num_classes // 2
  counts = np.zeros([num_classes] * 2, np.int64)
  for index in range(num_classes):
    counts[index, index] = counts[index, (index + half) % num_classes] = 5
  return sparse.csr_array(counts)


def test_classes_that_are_confused_are_grouped():
  counts = confused_in_pairs(12)
  found = confusion.grouped(counts, max_rows=6)
  assert sorted(map(sorted, found.groups)) == [[i, i + 6] for i in range(6)]
  # So no image of a group is taken for one of another.
  assert found.counts.tolist() == np.diag([20] * 6).tolist()
  assert all(name.endswith(' +1') for name in found.names('abcdefghijkl'))


def test_as_many_classes_as_rows_stay_in_their_order():
  found = confusion.grouped(confused_in_pairs(12), max_rows=12)
  assert found.groups == [[index] for index in range(12)]


@pytest.mark.parametrize('taken_for', [1, -1])
def test_one_direction_is_enough_and_shares_count_not_images(taken_for):
  # Of classes i and i + 3 one is taken for the other, half of its images; class
  # 5 has many more, few of which are taken for each of the others.
  counts = np.diag([10, 20, 30, 40, 50, 6000])
  for first in range(3):
    pair = (first, first + 3)[::taken_for]
    counts[pair] = counts[pair[0], pair[0]]
  counts[5, [0, 1, 3, 4]] = 100
  found = confusion.grouped(sparse.csr_array(counts), max_rows=3)
  assert sorted(map(sorted, found.groups)) == [[0, 3], [1, 4], [2, 5]]
  # Rows are of labels, columns of predictions.
  place = {min(group): index for index, group in enumerate(found.groups)}
  assert found.counts[place[2], place[0]] == 200
  assert found.counts[place[0], place[2]] == 0


def test_very_many_classes_are_grouped_by_their_numbers(monkeypatch):
  monkeypatch.setattr(confusion, '_MAX_CLUSTERED', 10)
  found = confusion.grouped(confused_in_pairs(12), max_rows=6)
  assert found.groups == [[i, i + 1] for i in range(0, 12, 2)]
  assert found.counts.sum() == 120


def test_the_pairs_that_are_confused_most():
  counts = confusion.matrix(
      np.array([0, 0, 1, 1, 2, 2] + 3 * [2]),
      np.array([1, 1, 0, 2, 2, 0] + 3 * [2]), 3)
  assert confusion.most_confused(counts, 3) == [
      (0, 1, 2), (1, 0, 1), (1, 2, 1)]
