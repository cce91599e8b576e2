"""What a study compares its trainings by: a share that evaluations log."""

from __future__ import annotations

import dataclasses
import re

_PERCENT = '_percent'
# Model Garden calls it otherwise than everybody.
_TOP_1 = 'top_1'
_NAMED = {'accuracy': 'top-1', 'mean_iou': 'mean IoU'}
_PATTERNS = ((re.compile(r'top_(\d+)_accuracy'), r'top-\1'),
             (re.compile(r'iou/(\d+)'), r'IoU of class \1'))
# What is better the lower it is, and no share.
_LOSS = 'loss'


@dataclasses.dataclass(frozen=True)
class Metric:
  """A share of 1 that is better the higher it is.

  Attributes:
    name: which evaluations log it under, such as 'mean_iou'.
  """
  name: str

  @property
  def label(self) -> str:
    """What it is called where it is shown, such as 'mean IoU'."""
    for pattern, label in _PATTERNS:
      if found := pattern.fullmatch(self.name):
        return found.expand(label)
    return _NAMED.get(self.name, self.name.replace('_', ' '))

  @property
  def column(self) -> str:
    """Its column in the results, such as 'mean_iou_percent'."""
    return (_TOP_1 if self == ACCURACY else self.name) + _PERCENT


ACCURACY = Metric('accuracy')


def of_column(column: str) -> Metric:
  """Returns the metric whose column it is; `column` of no other says so."""
  name = column.removesuffix(_PERCENT)
  return ACCURACY if name == _TOP_1 else Metric(name)


def names(logged: list[str]) -> list[str]:
  """Returns those that a study can be compared by.

  Args:
    logged: the names under which evaluations log something.
  """
  return [name for name in logged if not name.endswith(_LOSS)]
