"""Which folder holds the masks of which folder of images, and of what split.

Understood are, below any folders and with any folders of the same names below
both:

  images/SPLIT/x.jpg  masks/SPLIT/x.png        (annotations, labels: ADE20K)
  SPLIT/images/x.jpg  SPLIT/masks/x.png
  images/x.jpg        masks/x.png
  JPEGImages/x.jpg    SegmentationClass/x.png  (PASCAL VOC)
  leftImg8bit/SPLIT/CITY/x.png  gtFine/SPLIT/CITY/x.png  (Cityscapes)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
import dataclasses

from . import folder_tree

IMAGES, MASKS = 'images', 'masks'
# What the inputs are called whose place says what they are: role and, if it is
# told, split.
NAMED = {
    'images': (IMAGES, ''), 'masks': (MASKS, ''),
    'validation_images': (IMAGES, 'validation'),
    'validation_masks': (MASKS, 'validation')}
_ROLES = {
    'images': IMAGES, 'image': IMAGES, 'jpegimages': IMAGES,
    'leftimg8bit': IMAGES, 'gtfine': MASKS,
    'masks': MASKS, 'mask': MASKS, 'annotations': MASKS, 'annotation': MASKS,
    'labels': MASKS, 'label': MASKS, 'segmentationclass': MASKS}
# Of PASCAL VOC, beside the masks of classes.
_INSTANCES = 'segmentationobject'
_EXPECTED = (
    'Expected images/train/x.jpg and masks/train/x.png (or annotations, '
    'labels), train/images and train/masks, or JPEGImages and '
    'SegmentationClass; or name the two folders by --images and --masks. Where '
    'masks lie beside their images, give that folder as --images, and as '
    '--mask_suffix what the names of masks end on, such as _mask.')


@dataclasses.dataclass(frozen=True)
class FolderPair:
  """Two folders whose files belong together.

  Attributes:
    images: the folder of the images.
    masks: that of their masks; the same where names tell them apart.
    split: 'train', 'validation' or 'test'; '' of PASCAL VOC and the like, where
      no folder says it.
    group: the folders below that both have, such as 'aachen'; else ''.
    words: what they are called, such as 'images and masks'.
  """
  images: str
  masks: str
  split: str
  group: str
  words: str


@dataclasses.dataclass(frozen=True)
class _Place:
  folder: str
  role: str
  split: str
  key: tuple[str, ...]
  group: str
  word: str


def as_flag(name: str) -> str:
  """Returns the first folder of the paths of an input of NAMED."""
  return f'--{name}'


def beside(names: Iterable[str]) -> set[str]:
  """Returns which inputs of NAMED hold the masks of their images too.

  Args:
    names: of all inputs; images without masks have them beside them.
  """
  names = set(names)
  return {name for name in names if NAMED.get(name, ('',))[0] == IMAGES
          and name.replace('images', 'masks') not in names}


def read(folders: Iterable[str], mixed: Collection[str] = ()
         ) -> tuple[list[FolderPair], dict[str, str]]:
  """Tells which folders of images and of masks belong together.

  Args:
    folders: paths of all that hold images, masks being images as well; the
      first part of each is the name of the input, or `as_flag` of NAMED.
    mixed: inputs of NAMED whose folders hold images and masks, as `beside`
      returns them.

  Returns:
    The pairs, and the reason by folder of those that are left out.

  Raises:
    ValueError: if that is ambiguous, or one of the two is missing.
  """
  pairs, left_out, found = [], {}, {IMAGES: {}, MASKS: {}}
  tops = {as_flag(name) for name in mixed}
  for folder in sorted(folders):
    if any(part.lower() == _INSTANCES for part in folder.split('/')):
      left_out[folder] = 'masks of instances, which say no classes'
      continue
    place = _place(folder)
    if folder.split('/')[0] in tops:
      pairs.append(FolderPair(folder, folder, place.split, place.group,
                              f'{place.word}, masks beside them'))
      continue
    other = found[place.role].setdefault(place.key, place)
    if other is not place:
      raise ValueError(
          f'{other.folder} and {folder} may both be the {place.role} of the '
          'same split. Name the folders that are meant by --images and '
          '--masks.')
  images, masks = found[IMAGES], found[MASKS]
  if bool(images) != bool(masks):
    role, other = (MASKS, images) if images else (IMAGES, masks)
    example = min(place.folder for place in other.values())
    raise ValueError(
        f'no {role} among the inputs, only {example} and its like. {_EXPECTED}')
  splits_with_masks = {place.split for place in masks.values()}
  for key in sorted(set(images) - set(masks)):
    place = images[key]
    if place.split == 'test' and 'test' not in splits_with_masks:
      left_out[place.folder] = 'test images, which have no masks'
      continue
    raise ValueError(_missing(place, masks.values(), MASKS))
  for key in sorted(set(masks) - set(images)):
    raise ValueError(_missing(masks[key], images.values(), IMAGES))
  for key in sorted(set(images) & set(masks)):
    image, mask = images[key], masks[key]
    pairs.append(FolderPair(image.folder, mask.folder, image.split, image.group,
                            f'{image.word} and {mask.word}'))
  return pairs, left_out


def _place(folder: str) -> _Place:
  """Tells role and split of a folder by the names on its path."""
  top, *below = folder.split('/')
  named = {as_flag(name): told for name, told in NAMED.items()}
  if top in named:
    role, split = named[top]
    above, inside, word = ['', split], below, top
  else:
    positions = [number for number, part in enumerate(below)
                 if part.lower() in _ROLES]
    if len(positions) != 1:
      seen = ('neither' if not positions else
              ' and '.join(repr(below[number]) for number in positions))
      raise ValueError(
          f'{folder}: are these images or masks? Its path says {seen}. '
          f'{_EXPECTED}')
    position = positions[0]
    word = below[position]
    role = _ROLES[word.lower()]
    above, inside = [top, *below[:position]], below[position + 1:]
  # The name of the input counts where nothing else tells.
  told = [part for part in [*above[1:], *inside]
          if folder_tree.split_of(part)]
  told = told or [part for part in above[:1] if folder_tree.split_of(part)]
  splits = {folder_tree.split_of(part) for part in told}
  if len(splits) > 1:
    raise ValueError(
        f'{folder} names several splits: {", ".join(map(repr, told))}. Rename '
        'one of the folders, or name those that are meant by --images and '
        '--masks.')
  group = [part for part in inside if not folder_tree.split_of(part)]
  key = [folder_tree.split_of(part) or part for part in [*above, *inside]]
  # SPLIT/images and masks/SPLIT belong together.
  key = sorted(splits) + [part for part in key if part not in splits]
  return _Place(folder, role, min(splits, default=''), tuple(key),
                '/'.join(group), word)


def _missing(place: _Place, others: Iterable[_Place], role: str) -> str:
  """Says what is expected beside a folder, and what is there instead."""
  seen = ', '.join(sorted(other.folder for other in others)[:5])
  return (f'{place.folder} has no folder of {role} beside it, but {seen}. '
          'Their paths must be the same but for the words images and masks. '
          f'{_EXPECTED}')
