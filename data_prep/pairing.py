"""Recognises images with masks: every image gets its mask and its split.

What has no partner, or more than one, is lost, with the reason: it is listed
with the corrupt images and counts as they do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
import dataclasses
import os
import re
import unicodedata

from . import class_names as class_names_lib
from . import containers
from . import image_index
from . import mask_folders
from . import pair_names
from . import records
from . import scan
from . import sources
from . import wording

# Of PASCAL VOC: the images of each split, one a line, without suffix.
_LISTS = re.compile(r'(.*/)?ImageSets/Segmentation/(train|val)\.txt')
_SPLITS = {'train': 'train', 'val': 'validation'}
_NO_SUFFIXES = pair_names.Suffixes()


def list_name(path: str) -> str:
  """Returns under which name a list of a data set is kept, or ''."""
  is_kept = _LISTS.fullmatch(path) or (
      os.path.basename(path) == records.CLASS_NAMES_FILE)
  return path if is_kept else ''


def read(inputs: Sequence[tuple[str, str]], index: image_index.ImageIndex,
         classes: Sequence[class_names_lib.ImageClass],
         report: Callable[[int], None] = lambda num_files: None,
         suffixes: pair_names.Suffixes = _NO_SUFFIXES,
         class_names: str = '') -> sources.DataSet:
  """Fills an index with the images with masks of folders and archives.

  Args:
    inputs: (name, path) of each; a name is of `mask_folders.NAMED`, or '' for
      that of the folder.
    index: an empty one.
    classes: by label; none: the masks tell them.
    report: called with the number of files so far.
    suffixes: what names end on beside what an image and its mask share.
    class_names: path of the list that the classes were read from, which is not
      left out where it lies among the images; or ''.

  Returns:
    The data set, as `recognise` does.

  Raises:
    ValueError: if there are no pairs, or folders are ambiguous.
  """
  named = [(mask_folders.as_flag(name) if name else containers.name_of(path),
            path) for name, path in inputs]
  lists = scan.scan(named, index, report, list_name,
                    [class_names] if class_names else [],
                    lambda name: bool(_LISTS.fullmatch(name)))
  return recognise(index, lists, classes, suffixes,
                   mask_folders.beside(name for name, _ in inputs))


def recognise(index: image_index.ImageIndex,
              lists: Mapping[str, containers.Member],
              classes: Sequence[class_names_lib.ImageClass],
              suffixes: pair_names.Suffixes = _NO_SUFFIXES,
              mixed: Collection[str] = ()) -> sources.DataSet:
  """Recognises the pairs that an index holds, and assigns them.

  Args:
    index: every image and every mask that was found; afterwards the images
      alone, with their masks.
    lists: by path, those that `list_name` keeps.
    classes: by label; none: the masks tell them.
    suffixes: as `read` takes them.
    mixed: inputs that hold images and masks in one folder.

  Returns:
    The data set; its groups are the folders below those of the splits.

  Raises:
    ValueError: if there are no pairs, folders are ambiguous, or no name ends
      on a suffix.
  """
  folders = index.folders()
  if not folders:
    raise ValueError('no images among the inputs. '
                     + sources.what_was_left_out(index))
  pairs, left_out = mask_folders.read(folders, mixed)
  notes = []
  for folder, reason in left_out.items():
    names = index.names(folder)
    index.leave_out(f'{folder}/', f'{wording.counted(len(names), "file")}: '
                    f'{reason}', is_lost=False)
    index.discard_unpaired(folder)
    notes.append(f'{folder}: {reason}')
  groups = sorted({pair.group for pair in pairs})
  splits = {pair.split for pair in pairs}
  as_validation = 'test' in splits and 'validation' not in splits
  if as_validation:
    notes.append(sources.TEST_AS_VALIDATION)
  num_lost, all_sides = 0, []
  for pair in pairs:
    split = 'validation' if (
        as_validation and pair.split == 'test') else pair.split or 'train'
    sides = _Sides.read(index, pair, suffixes)
    num_lost += _match(index, pair, split, _read_lists(pair, lists),
                       groups.index(pair.group), sides, suffixes)
    all_sides.append(sides)
  _check_suffixes(all_sides, suffixes)
  bases = {os.path.dirname(pair.images) for pair in pairs}
  for path in lists:
    found = _LISTS.fullmatch(path)
    if found and _base(found) not in bases:
      index.leave_out(path, 'a list of images that are not there',
                      is_lost=False)
  if num_lost:
    example = next(f'{path}: {reason}' for path, reason
                   in index.left_out(is_lost=True))
    notes.append(f'{wording.counted(num_lost, "file is", "files are")} in no '
                 f'pair, such as {example}')
  if not index.totals():
    raise ValueError(
        f'not one image has a mask. {notes[-1] if notes else ""}'.rstrip()
        + ('' if suffixes != _NO_SUFFIXES else '. If names end on more than '
           'they share, such as x_rgb.png and x_mask.png, say so: '
           '--image_suffix=_rgb --mask_suffix=_mask'))
  notes += index.linked(splits_alone=True)
  if list(classes) == numbered(len(classes)):
    notes += [f'{path} may name the classes: --class_names={member.file} takes '
              'it' for path, member in lists.items()
              if os.path.basename(path) == records.CLASS_NAMES_FILE]
  words = ', '.join(sorted({pair.words for pair in pairs}))
  return sources.DataSet(
      f'images with masks ({words})',
      tuple(classes), tuple(notes),
      groups=tuple(class_names_lib.ImageClass(group) for group in groups))


def numbered(num_classes: int) -> list[class_names_lib.ImageClass]:
  """Returns classes that nobody named, called by their numbers."""
  return [class_names_lib.ImageClass(str(label))
          for label in range(num_classes)]


def file_name(image: image_index.Image,
              groups: Sequence[class_names_lib.ImageClass]) -> str:
  """Returns the name of an image in its record, which no other has there."""
  group = groups[image.label].name
  return f'{group}/{image.name}' if group else image.name


@dataclasses.dataclass(frozen=True)
class _Sides:
  """The files of two folders that belong together, or of one.

  Attributes:
    images: names by what they share with their masks'.
    masks: the same of the masks.
    example: path of a file.
  """
  images: dict[str, list[str]]
  masks: dict[str, list[str]]
  example: str

  @classmethod
  def read(cls, index: image_index.ImageIndex, pair: mask_folders.FolderPair,
           suffixes: pair_names.Suffixes) -> _Sides:
    """Reads the names; what ends on no suffix is left out."""
    images, masks = index.names(pair.images), index.names(pair.masks)
    example = f'{pair.masks}/{masks[0]}'
    expected = [pair_names.IMAGE, pair_names.MASK]
    if pair.images == pair.masks:
      roles = {name: suffixes.role(name) for name in images}
      others = [name for name, role in roles.items() if not role]
      _leave_others(index, pair.images, others, suffixes, expected)
      images, masks = ([name for name, role in roles.items() if role == one]
                       for one in expected)
    sides = []
    for folder, names, role in zip(
        (pair.images, pair.masks), (images, masks), expected):
      stems, others = pair_names.by_stem(names, suffixes, role)
      _leave_others(index, folder, others, suffixes, [role])
      sides.append(stems)
    return cls(*sides, example)


def _leave_others(index: image_index.ImageIndex, folder: str,
                  names: Sequence[str], suffixes: pair_names.Suffixes,
                  roles: Sequence[str]) -> None:
  flags = ' or '.join(map(suffixes.flag, roles))
  for name in names:
    index.leave_out(f'{folder}/{name}', f'does not end on {flags}',
                    is_lost=False)


def _check_suffixes(all_sides: Sequence[_Sides],
                    suffixes: pair_names.Suffixes) -> None:
  """Refuses a suffix that no name ends on."""
  for role in (pair_names.IMAGE, pair_names.MASK):
    if suffixes.of(role) and not any(
        sides.images if role == pair_names.IMAGE else sides.masks
        for sides in all_sides):
      raise ValueError(
          f'{suffixes.flag(role)}, but no file ends so: there is '
          f'{all_sides[0].example}, for example. Correct it.')


def _match(index: image_index.ImageIndex, pair: mask_folders.FolderPair,
           split: str, listed: Mapping[str, str] | None, label: int,
           sides: _Sides, suffixes: pair_names.Suffixes) -> int:
  """Pairs the files of two folders; returns how many have no partner."""
  images, masks = sides.images, sides.masks
  if listed is not None:
    for folder, names in ((pair.images, images), (pair.masks, masks)):
      _leave_unlisted(index, folder, names, listed)
  rows, lost = [], []
  for stem in sorted(set(images) | set(masks)):
    of_images, of_masks = images.get(stem, []), masks.get(stem, [])
    if len(of_images) == len(of_masks) == 1:
      rows.append((*of_images, *of_masks,
                   split if listed is None else listed[stem]))
      continue
    several = [names for names in (of_images, of_masks) if len(names) > 1]
    if several:
      reason = (f'{" and ".join(several[0])} have one name but for the suffix: '
                'which belongs to the other? Rename or remove one')
    elif of_images:
      name = suffixes.name(stem, pair_names.MASK)
      reason = f'no mask {pair.masks}/{name}' + _lookalike(
          stem, masks, pair_names.MASK, suffixes)
    else:
      name = suffixes.name(stem, pair_names.IMAGE)
      reason = f'a mask without an image {name} in {pair.images}' + _lookalike(
          stem, images, pair_names.IMAGE, suffixes)
    lost += [(f'{pair.images}/{name}', reason) for name in of_images]
    lost += [(f'{pair.masks}/{name}', reason) for name in of_masks]
  for stem in sorted(set(listed or ()) - set(images) - set(masks)):
    lost.append((f'{pair.images}/{stem}.jpg',
                 f'is in the list of the {listed[stem]} split, but not there'))
  index.pair(pair.images, pair.masks, rows, label)
  for path, reason in lost:
    index.leave_out(path, reason, is_lost=True)
  index.discard_unpaired(pair.images)
  index.discard_unpaired(pair.masks)
  return len(lost)


def _lookalike(stem: str, others: Mapping[str, list[str]], role: str,
               suffixes: pair_names.Suffixes) -> str:
  """Names a file that a person may take for the one that is missing."""
  look = _look(stem)
  for other, names in others.items():
    if _look(other) == look:
      return (f'; {names[0]} differs in case, spaces or Unicode form alone: '
              'rename one of the two')
  longer = [other for other in others
            if other.startswith(stem) and not other[len(stem):][:1].isalnum()]
  if not longer:
    return ''
  name, more = others[longer[0]][0], longer[0].removeprefix(stem)
  return f'; {name} has a longer name: ' + (
      'both must be called alike but for the suffixes' if suffixes.of(role) else
      f'if all have, say --{role}_suffix={more}')


def _look(stem: str) -> str:
  return unicodedata.normalize('NFC', stem).casefold().strip()


def _read_lists(pair: mask_folders.FolderPair,
                lists: Mapping[str, containers.Member]
                ) -> dict[str, str] | None:
  """Returns the split by stem where lists tell it; None: they do not."""
  base = os.path.dirname(pair.images)
  listed = {}
  for path, member in lists.items():
    found = _LISTS.fullmatch(path)
    if not found or _base(found) != base:
      continue
    split = _SPLITS[found[2]]
    for stem in member.read().decode(errors='replace').split():
      if listed.setdefault(stem, split) != split:
        raise ValueError(
            f'{stem} is in the lists of both splits in {base}/ImageSets/'
            'Segmentation. Remove it from one.')
  return listed or None


def _base(found: re.Match[str]) -> str:
  """Returns the folder that the lists of a data set are in."""
  return (found[1] or '').rstrip('/')


def _leave_unlisted(index: image_index.ImageIndex, folder: str,
                    by_stem: dict[str, list[str]],
                    listed: Mapping[str, str]) -> None:
  """Leaves out the files of a folder that are in no list of a split."""
  for stem in [stem for stem in by_stem if stem not in listed]:
    for name in by_stem.pop(stem):
      index.leave_out(f'{folder}/{name}', 'in neither train.txt nor val.txt of '
                      'ImageSets/Segmentation', is_lost=False)
