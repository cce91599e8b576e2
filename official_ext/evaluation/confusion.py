"""Which classes are taken for which; of many classes, in groups.

Legend: N images, C classes, G groups.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import numpy as np
from scipy import sparse
from scipy.cluster import hierarchy
from scipy.spatial import distance

# So many rows can be read in a picture.
MAX_ROWS = 30
# The distances of all pairs of more classes would not fit into memory.
_MAX_CLUSTERED = 4_000


@dataclasses.dataclass(frozen=True)
class Grouped:
  """A confusion matrix of groups of classes.

  Attributes:
    counts: int [G, G], of images by the group of the label and the group of
      the prediction.
    groups: the classes of each group.
  """
  counts: np.ndarray
  groups: list[list[int]]

  def names(self, class_names: Sequence[str]) -> list[str]:
    """Names a group by its first class, and how many more it has."""
    return [class_names[group[0]] + (
        f' +{len(group) - 1}' if len(group) > 1 else '')
            for group in self.groups]


def matrix(labels: np.ndarray, predicted: np.ndarray,
           num_classes: int) -> sparse.csr_array:
  """Counts images by their label and their prediction.

  Args:
    labels: int [N].
    predicted: int [N].
    num_classes: C.

  Returns:
    int64 [C, C]; sparse, as most pairs of many classes are never confused.
  """
  return sparse.coo_array(
      (np.ones(len(labels), np.int64), (labels, predicted)),
      shape=(num_classes, num_classes)).tocsr()


def grouped(counts: sparse.csr_array, max_rows: int = MAX_ROWS) -> Grouped:
  """Puts classes that are taken for each other into groups of about one size.

  The classes are brought into the order of the leaves of a hierarchical
  clustering by how often they are confused, which is cut into equal parts.

  Args:
    counts: what `matrix` returned.
    max_rows: how many groups at most; as few classes stay alone, as they are.

  Returns:
    The matrix of the groups.
  """
  num_classes = counts.shape[0]
  order = np.arange(num_classes)
  if max_rows < num_classes <= _MAX_CLUSTERED:
    order = _order(counts.toarray())
  groups = [part.tolist() for part in np.array_split(
      order, min(max_rows, num_classes))]
  member = np.zeros([num_classes], np.int64)
  for number, group in enumerate(groups):
    member[group] = number
  cells = counts.tocoo()
  summed = np.zeros([len(groups)] * 2, np.int64)
  np.add.at(summed, (member[cells.row], member[cells.col]), cells.data)
  return Grouped(summed, groups)


def _order(counts: np.ndarray) -> np.ndarray:
  """Orders classes so that those stand together that are confused."""
  rates = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
  distances = 1 - (rates + rates.T) / 2
  np.fill_diagonal(distances, 0)
  return hierarchy.leaves_list(hierarchy.average(
      distance.squareform(distances, checks=False)))


def most_confused(counts: sparse.csr_array, num_pairs: int
                  ) -> list[tuple[int, int, int]]:
  """Returns the pairs of classes that are confused most often.

  Args:
    counts: what `matrix` returned.
    num_pairs: how many at most.

  Returns:
    Label, prediction and number of images of each; of pairs as frequent, by
    the numbers of the classes.
  """
  cells = counts.tocoo()
  pairs = [(int(label), int(predicted), int(count))
           for label, predicted, count in zip(cells.row, cells.col, cells.data)
           if label != predicted]
  return sorted(pairs, key=lambda pair: (-pair[2], *pair[:2]))[:num_pairs]
