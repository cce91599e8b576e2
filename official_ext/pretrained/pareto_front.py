"""Which layouts are worth their cost. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def find(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
  """Returns the layouts that none beats in both cost and accuracy.

  Args:
    rows: with `layout`, `gmacs` and `top_1_percent`, numbers or their texts.

  Returns:
    The Pareto front, the cheapest first: each is the best at every budget from
    its own cost up to the next one's.
  """
  found, best = [], -1.0
  for row in sorted(rows, key=lambda one: (
      float(one['gmacs']), -float(one['top_1_percent']), one['layout'])):
    if float(row['top_1_percent']) > best:
      found.append(row)
      best = float(row['top_1_percent'])
  return found
