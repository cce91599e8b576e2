"""Which class is written for a value of a mask: '0-6:255,7:0,8:1'.

For masks whose values are not the classes that are trained on, as the label ids
of Cityscapes.
"""

from __future__ import annotations

import functools
import re

_ITEM = re.compile(r'([0-9]{1,3})(?:-([0-9]{1,3}))?:([0-9]{1,3})')
_MAX_VALUE = 255


@functools.cache
def parse(text: str) -> dict[int, int]:
  """Reads a map of labels.

  Args:
    text: VALUE:CLASS or FIRST-LAST:CLASS, separated by commas.

  Returns:
    The class by value, both 0 to 255; not to be changed.

  Raises:
    ValueError: if it is no such list, or gives a value two classes.
  """
  classes = {}
  for item in filter(None, re.split(r'[,\s]+', text)):
    found = _ITEM.fullmatch(item)
    if not found:
      raise ValueError(
          f'--label_map: {item!r} is not VALUE:CLASS, such as 7:0, or '
          'FIRST-LAST:CLASS, such as 0-6:255. Separate several by commas.')
    first, last, label = int(found[1]), int(found[2] or found[1]), int(found[3])
    if max(first, last, label) > _MAX_VALUE or first > last:
      raise ValueError(
          f'--label_map: {item!r} must have values and a class from 0 to '
          f'{_MAX_VALUE}, the first value before the last.')
    for value in range(first, last + 1):
      if classes.setdefault(value, label) != label:
        raise ValueError(
            f'--label_map gives the value {value} two classes, '
            f'{classes[value]} and {label}. Remove one.')
  return classes


def num_classes(text: str, ignore_label: int) -> int:
  """Returns how many classes a map leads to, the largest one and one.

  Args:
    text: as `parse` takes it.
    ignore_label: what is written for values of no class.

  Raises:
    ValueError: if it leads to none.
  """
  classes = set(parse(text).values()) - {ignore_label}
  if not classes:
    raise ValueError(
        f'--label_map={text} gives no value a class but the label to ignore, '
        f'{ignore_label}. Add those that are trained on, such as 7:0.')
  return max(classes) + 1
