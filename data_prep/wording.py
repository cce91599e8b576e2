"""Words of what the commands say."""

from __future__ import annotations


def counted(number: int, one: str, several: str = '') -> str:
  """Returns a number with what it counts.

  Args:
    number: how many.
    one: what is counted, in the singular.
    several: in the plural; by default with an s.

  Returns:
    Such as '1 class' or '1,000 classes'.
  """
  return f'{number:,} {one if number == 1 else several or f"{one}s"}'
