"""What the names of an image and of its mask share, and what they end on.

Without suffixes that is the name up to its last dot: x.jpg and x.png. With
those of Cityscapes, aachen_000000_000019_leftImg8bit.png and
aachen_000000_000019_gtFine_labelIds.png share aachen_000000_000019.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import os

IMAGE, MASK = 'image', 'mask'


@dataclasses.dataclass(frozen=True)
class Suffixes:
  """What names end on beside what they share, '.png' included or not.

  Attributes:
    image: those of images, such as '_leftImg8bit'; '': nothing.
    mask: those of masks, such as '_gtFine_labelIds' or '_mask'.
  """
  image: str = ''
  mask: str = ''

  def of(self, role: str) -> str:
    """Returns the one of IMAGE or MASK."""
    return self.image if role == IMAGE else self.mask

  def flag(self, role: str) -> str:
    """Returns how the suffix of a role is given."""
    return f'--{role}_suffix={self.of(role)}'

  def stem(self, name: str, role: str) -> str | None:
    """Returns what a name shares with its partner's.

    Args:
      name: of a file, without folders.
      role: IMAGE or MASK.

    Returns:
      The name without its suffix; None: it does not end so.
    """
    suffix = self.of(role)
    bare = os.path.splitext(name)[0]
    if not suffix:
      return bare
    for whole in (bare, name):
      if whole.endswith(suffix):
        return whole.removesuffix(suffix)
    return None

  def name(self, stem: str, role: str) -> str:
    """Returns a name of a role that has a stem, such as x_mask.png."""
    name = stem + self.of(role)
    return name if role == IMAGE or os.path.splitext(
        self.of(role))[1] else f'{name}.png'

  def role(self, name: str) -> str:
    """Tells an image from a mask that lie in one folder.

    Args:
      name: of a file, without folders.

    Returns:
      IMAGE or MASK, by the longer one of the suffixes that it ends on; '': it
      ends on none.
    """
    roles = [role for role in (IMAGE, MASK)
             if self.stem(name, role) is not None]
    return max(roles, key=lambda role: len(self.of(role)), default='')


def by_stem(names: Iterable[str], suffixes: Suffixes, role: str
            ) -> tuple[dict[str, list[str]], list[str]]:
  """Sorts the names of a folder by what they share with their partners'.

  Args:
    names: of its files.
    suffixes: what they end on.
    role: IMAGE or MASK, which all of them are.

  Returns:
    The names by stem, and those that do not end on the suffix.
  """
  stems, others = {}, []
  for name in names:
    stem = suffixes.stem(name, role)
    if stem is None:
      others.append(name)
    else:
      stems.setdefault(stem, []).append(name)
  return stems, others
