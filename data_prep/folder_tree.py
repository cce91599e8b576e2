"""Splits and classes from the folders that images lie in.

Understood are, below any number of folders that hold nothing else:

  SPLIT/CLASS/image         SPLIT/CLASS/images/image (Tiny-ImageNet)
  CLASS/image               SPLIT/image, where a list has the labels
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
import dataclasses
import re

_SPLITS = (
    (re.compile(r'train|training|ilsvrc2012_img_train'), 'train'),
    (re.compile(r'val|valid|validation|ilsvrc2012_img_val'), 'validation'),
    (re.compile(r'test|testing|ilsvrc2012_img_test(_v\d+)?'), 'test'),
)
_IMAGES = 'images'
_SHOWN = 5
_EXPECTED = (
    'Expected SPLIT/CLASS/image or CLASS/image, with SPLIT such as train, '
    'val or test; or name the splits with --train, --validation and --test.')


@dataclasses.dataclass(frozen=True)
class Place:
  """What a folder holds.

  Attributes:
    split: 'train', 'validation' or 'test'.
    class_name: the class of its images, or None if a list must tell.
  """
  split: str
  class_name: str | None


def split_of(folder: str) -> str | None:
  """Returns the split that a folder's name tells, or None."""
  for pattern, split in _SPLITS:
    if pattern.fullmatch(folder.lower()):
      return split
  return None


def read(folders: Iterable[str]) -> dict[str, Place]:
  """Tells split and class of each folder that holds images.

  Args:
    folders: their paths.

  Returns:
    The place by folder.

  Raises:
    ValueError: if that is ambiguous, with what was seen.
  """
  parts = _without_images(
      {folder: tuple(folder.split('/')) for folder in folders})
  parts = _unwrap_splits(_strip_wrappers(parts, stop_at_splits=True))
  tops = {path[0] for path in parts.values()}
  splits = {top for top in tops if split_of(top)}
  if not splits:
    return _read_split('train', parts)
  if splits != tops:
    raise ValueError(
        f'{_some(tops - splits)} beside {_some(splits)}: is that a class or '
        f'the name of a split? {_EXPECTED}')
  places = {}
  for split in ('train', 'validation', 'test'):
    names = sorted(top for top in tops if split_of(top) == split)
    if len(names) > 1:
      raise ValueError(
          f'{" and ".join(names)} both name the {split} split. Give one of '
          f'them as --{split}.')
    inside = {folder: path[1:] for folder, path in parts.items()
              if path[0] in names}
    places.update(_read_split(split, _strip_wrappers(inside)))
  return places


def _read_split(split: str, parts: dict[str, tuple[str, ...]]
                ) -> dict[str, Place]:
  """Returns the folders of a split; an empty path is the split's own."""
  above = {path[:length] for path in parts.values()
           for length in range(len(path))}
  mixed = [folder for folder, path in parts.items() if path in above]
  if mixed:
    raise ValueError(
        f'{mixed[0]} holds images and, beside them, folders of images: which '
        f'class do the former belong to? Move or remove them. {_EXPECTED}')
  deep = {folder: path for folder, path in parts.items() if len(path) > 1}
  if deep:
    folder, path = min(deep.items())
    raise ValueError(
        f'{folder} lies {len(path)} folders deep: is the class {path[0]!r} or '
        f'{path[-1]!r}? {_EXPECTED}')
  return {folder: Place(split, path[0] if path else None)
          for folder, path in parts.items()}


def _strip_wrappers(parts: dict[str, tuple[str, ...]],
                    stop_at_splits: bool = False
                    ) -> dict[str, tuple[str, ...]]:
  """Drops leading folders that hold nothing but one other folder."""
  while parts and all(len(path) > 1 for path in parts.values()):
    tops = {path[0] for path in parts.values()}
    if len(tops) > 1 or (stop_at_splits and split_of(min(tops))):
      break
    parts = {folder: path[1:] for folder, path in parts.items()}
  return parts


def _unwrap_splits(parts: dict[str, tuple[str, ...]]
                   ) -> dict[str, tuple[str, ...]]:
  """Drops what is around the splits of one input among several."""
  unwrapped = {}
  for top in {path[0] for path in parts.values()}:
    group = {folder: path for folder, path in parts.items() if path[0] == top}
    inside = _strip_wrappers(group, stop_at_splits=True)
    has_splits = all(split_of(path[0]) for path in inside.values())
    unwrapped.update(inside if has_splits else group)
  return {folder: unwrapped[folder] for folder in parts}


def _without_images(parts: dict[str, tuple[str, ...]]
                    ) -> dict[str, tuple[str, ...]]:
  """Drops Tiny-ImageNet's folders 'images', each the only one beside none."""
  num_siblings = collections.Counter(path[:-1] for path in parts.values())
  return {folder: path[:-1] if (
      path[-1] == _IMAGES and len(path) > 1 and num_siblings[path[:-1]] == 1)
          else path for folder, path in parts.items()}


def _some(names: Iterable[str]) -> str:
  names = sorted(names)
  more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
  return ', '.join(repr(name) for name in names[:_SHOWN]) + more
