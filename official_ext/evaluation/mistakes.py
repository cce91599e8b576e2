"""The images on which a model is wrong most surely, kept while they are read.

Legend: B images, C classes.
"""

from __future__ import annotations

import dataclasses
import heapq

import numpy as np


@dataclasses.dataclass(frozen=True)
class Mistake:
  """An image that is taken for another class.

  Attributes:
    number: of its record, from 0.
    encoded: the bytes of its file.
    label: its class.
    predicted: the class that it is taken for.
    cross_entropy: minus the logarithm of the probability of its class.
  """
  number: int
  encoded: bytes
  label: int
  predicted: int
  cross_entropy: float


class Worst:
  """Keeps the mistakes whose own class is least probable to the model."""

  def __init__(self, most: int):
    """Initialises it.

    Args:
      most: how many to keep at most.
    """
    self._most = most
    # The least bad of those kept comes first; of equal ones, the later record.
    self._kept: list[tuple[float, int, Mistake]] = []
    self._num_images = 0

  def add(self, encoded: np.ndarray, labels: np.ndarray, logits: np.ndarray,
          cross_entropies: np.ndarray) -> None:
    """Adds a batch.

    Args:
      encoded: the bytes of B files.
      labels: int [B].
      logits: [B, C].
      cross_entropies: of the labels, [B].
    """
    # The first of equal logits, as `ranking` has them.
    predicted = logits.argmax(axis=-1)
    for index in np.flatnonzero(predicted != labels):
      number = self._num_images + int(index)
      mistake = Mistake(
          number, encoded[index], int(labels[index]), int(predicted[index]),
          float(cross_entropies[index]))
      entry = (mistake.cross_entropy, -number, mistake)
      if len(self._kept) < self._most:
        heapq.heappush(self._kept, entry)
      elif self._most:
        heapq.heappushpop(self._kept, entry)
    self._num_images += len(labels)

  def found(self) -> list[Mistake]:
    """Returns the mistakes that were kept, the worst first."""
    return [mistake for *_, mistake in sorted(
        self._kept, key=lambda entry: entry[:2], reverse=True)]
