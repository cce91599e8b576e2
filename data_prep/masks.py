"""What a mask file says: the class of every pixel, or why it says none.

A mask is a PNG file whose samples are numbers of classes: gray ones, or the
indices of a palette, whose colors mean nothing. Colors themselves, more than 8
bits and lossy files are refused: what they mean, no file says.

Format: PNG (third edition), section 11.2.1. Legend: H, W sides of a mask.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable
import dataclasses
import io
from typing import Any

import numpy as np
from PIL import Image

from . import exif_orientation
from . import image_faults
from . import images
from . import label_map
from . import png_structure
from . import wording

MAX_CLASSES = 255
IGNORE_LABEL = 255
_GRAY, _RGB, _PALETTE, _GRAY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_KINDS = {_RGB: 'RGB', _GRAY_ALPHA: 'gray with alpha', _RGB_ALPHA: 'RGBA'}
_SAVE = 'save one gray value a pixel, the number of its class, as PNG of 8 bits'
# Images whose masks hold nothing but what is ignored, that are named.
_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Rules:
  """Which values a mask may have, and what is written for them.

  Attributes:
    num_classes: classes are 0 to num_classes - 1; 0: all below ignore_label.
    ignore_label: of pixels that are of no class.
    reduce_zero_label: whether 0 is what is ignored, and classes count from 1:
      they are written as from 0.
    label_map: which class is written for a value, as `label_map.parse` takes
      it; empty: the value itself.
  """
  num_classes: int = 0
  ignore_label: int = IGNORE_LABEL
  reduce_zero_label: bool = False
  label_map: str = ''


@dataclasses.dataclass(frozen=True)
class CheckedMask:
  """A mask as it is written.

  Attributes:
    encoded: a PNG file of 8 bits, gray: classes and the label to ignore.
    pixels: number of pixels by value.
    was: the kind of PNG that came in, such as 'palette'.
    is_as_it_came: whether `encoded` is the file that came in.
  """
  encoded: bytes
  pixels: dict[int, int]
  was: str
  is_as_it_came: bool


def size_of(data: bytes) -> tuple[int, int]:
  """Reads the size of a mask, and refuses what is none.

  Args:
    data: a file.

  Returns:
    Width and height, px.

  Raises:
    images.CorruptImageError: if it is no whole PNG of indices.
  """
  if not data.startswith(png_structure.START):
    if images.looks_like_image(data):
      lossy = data.startswith(b'\xff\xd8')
      raise images.CorruptImageError(
          f'{image_faults.NOT_SUPPORTED}: '
          + ('a JPEG, which blurs the numbers of classes' if lossy else
             'no PNG') + f'; {_SAVE}')
    raise images.CorruptImageError(image_faults.of_no_form(data))
  try:
    png_structure.check(data)
    png_structure.check_pixels(data)
  except png_structure.InvalidPngError as error:
    raise images.CorruptImageError(
        image_faults.of_form('PNG', str(error))) from None
  depth, color_type = data[24], data[25]
  if color_type in _KINDS:
    raise images.CorruptImageError(_of_colors(data, _KINDS[color_type]))
  if depth > 8:
    raise images.CorruptImageError(
        f'{image_faults.NOT_SUPPORTED}: {depth} bits a pixel, of which '
        f'training would read the upper 8 alone; {_SAVE}')
  if exif_orientation.of_file(data, 'PNG') != exif_orientation.UPRIGHT:
    raise images.CorruptImageError(
        f'{image_faults.NOT_SUPPORTED}: a mask with an EXIF orientation of its '
        'own; save it upright')
  width, height = data[16:20], data[20:24]
  return int.from_bytes(width, 'big'), int.from_bytes(height, 'big')


def read(data: bytes) -> np.ndarray:
  """Reads the indices of a mask as they are stored.

  Args:
    data: a file that `size_of` takes.

  Returns:
    uint8 [H, W]: of a palette PNG its indices; of gray of 1, 2 and 4 bits the
    samples, from 0 on.

  Raises:
    images.CorruptImageError: if it cannot be decoded.
  """
  try:
    with Image.open(io.BytesIO(data), formats=['PNG']) as image:
      image.load()
      pixels = np.asarray(image.convert('L') if image.mode == '1' else image)
  # Pillow raises whatever a damaged file leads it to.
  except Exception as error:  # pylint: disable=broad-except
    raise images.CorruptImageError(
        image_faults.of_form('PNG', str(error))) from error
  depth, color_type = data[24], data[25]
  if color_type == _GRAY and depth < 8:
    # Pillow spreads them over 0 to 255.
    pixels = pixels // (255 // (2**depth - 1))
  return pixels.astype(np.uint8)


def check(data: bytes, rules: Rules,
          orientation: int = exif_orientation.UPRIGHT) -> CheckedMask:
  """Makes a mask what training reads.

  Args:
    data: a file that `size_of` takes.
    rules: which values it may have.
    orientation: by which it is turned, as its image is.

  Returns:
    The mask; the file itself where that has 8 bits of gray and nothing is
    changed.

  Raises:
    images.CorruptImageError: if it cannot be decoded, or a value is no class.
  """
  stored = read(data)
  _check_mapped(count(stored), rules)
  indices = to_classes(stored, rules)
  pixels = count(indices)
  _check_values(pixels, rules)
  depth, color_type = data[24], data[25]
  was = 'palette' if color_type == _PALETTE else f'gray of {depth} bits'
  is_same = (color_type, depth, orientation) == (
      _GRAY, 8, exif_orientation.UPRIGHT) and np.array_equal(indices, stored)
  return CheckedMask(data if is_same else encode(indices, orientation), pixels,
                     was, is_same)


def to_classes(stored: np.ndarray, rules: Rules) -> np.ndarray:
  """Writes the classes for the values that a mask has.

  Args:
    stored: uint8 [H, W], of values that `rules.label_map` has, if there is one,
      or `rules.ignore_label`.
    rules: which class is which value, and whether 0 is what is ignored.

  Returns:
    uint8 [H, W].
  """
  if rules.label_map:
    known = label_map.parse(rules.label_map)
    return np.array([known.get(value, rules.ignore_label)
                     for value in range(256)], np.uint8)[stored]
  if not rules.reduce_zero_label:
    return stored
  is_ignored = (stored == 0) | (stored == rules.ignore_label)
  return np.where(is_ignored, rules.ignore_label, stored - 1).astype(np.uint8)


def encode(indices: np.ndarray,
           orientation: int = exif_orientation.UPRIGHT) -> bytes:
  """Encodes indices, uint8 [H, W], as PNG of 8 bits, turned if need be."""
  encoded = io.BytesIO()
  exif_orientation.turn(Image.fromarray(indices), orientation).save(
      encoded, format='PNG')
  return encoded.getvalue()


def count(indices: np.ndarray) -> dict[int, int]:
  """Counts the pixels of each value that is there."""
  counts = np.bincount(indices.ravel(), minlength=256)
  return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def _check_mapped(pixels: dict[int, int], rules: Rules) -> None:
  if not rules.label_map:
    return
  unknown = sorted(set(pixels) - set(label_map.parse(rules.label_map))
                   - {rules.ignore_label})
  if unknown:
    more = f' and {len(unknown) - 1} more' if len(unknown) > 1 else ''
    raise images.CorruptImageError(
        f'the value {unknown[0]} in {pixels[unknown[0]]:,} px{more} is not in '
        f'--label_map; {unknown[0]}:{rules.ignore_label} would ignore it')


def _check_values(pixels: dict[int, int], rules: Rules) -> None:
  # A class above the label to ignore would be one that it lies among.
  num_classes = rules.num_classes or rules.ignore_label
  wrong = {value: number for value, number in pixels.items()
           if value >= num_classes and value != rules.ignore_label}
  if not wrong:
    return
  value, number = min(wrong.items())
  more = f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''
  from_1 = ('; if classes count from 1 and 0 is none, say --reduce_zero_label'
            if list(wrong) == [rules.num_classes] and
            not rules.reduce_zero_label else '')
  read_as = (f' (stored as {value + 1})' if rules.reduce_zero_label else '')
  raise images.CorruptImageError(
      f'the value {value}{read_as} in {number:,} px{more} is no class: those '
      f'are 0 to {num_classes - 1}, and {rules.ignore_label} is ignored'
      f'{from_1}')


def _of_colors(data: bytes, kind: str) -> str:
  """Says of a mask of colors what is to be done with it."""
  reason = (f'{image_faults.NOT_SUPPORTED}: {kind}, whose colors are no '
            'numbers of classes')
  try:
    with Image.open(io.BytesIO(data), formats=['PNG']) as image:
      red, green, blue = np.moveaxis(
          np.asarray(image.convert('RGB'), np.uint32), -1, 0)
  except Exception:  # pylint: disable=broad-except
    return f'{reason}; {_SAVE}'
  if np.array_equal(red, green) and np.array_equal(red, blue):
    return (f'{reason}: its channels are equal, so save one of them alone, as '
            'gray PNG')
  # One number a color: rows are slow to sort.
  colors = np.unique(red * 2**16 + green * 2**8 + blue)
  number = wording.counted(len(colors), 'color')
  return (f'{reason}: it has {number}; by the list of colors that the data set '
          f'has, {_SAVE}')


class Tally:
  """What the masks of a shard hold, as JSON keeps it."""

  def __init__(self):
    self._pixels, self._images = collections.Counter(), collections.Counter()
    self._kinds = collections.Counter()
    self._all_ignored = []
    self._num_all_ignored = 0
    self._largest = (0, 0)

  def add(self, mask: CheckedMask, name: str, height: int, width: int,
          ignore_label: int) -> None:
    """Adds a mask of an image, which has a name and a size in px."""
    self._pixels.update(mask.pixels)
    self._images.update(mask.pixels.keys())
    self._kinds[mask.was] += 1
    if set(mask.pixels) == {ignore_label}:
      self._num_all_ignored += 1
      self._all_ignored = (self._all_ignored + [name])[:_NAMED]
    self._largest = tuple(np.maximum(self._largest, (height, width)).tolist())

  def as_json(self) -> dict[str, Any]:
    """Returns pixels and images by value, and what else is told."""
    return {
        'pixels': _by_text(self._pixels), 'images': _by_text(self._images),
        'kinds': dict(sorted(self._kinds.items())),
        'num_all_ignored': self._num_all_ignored,
        'all_ignored': self._all_ignored, 'largest': list(self._largest)}


def gather(tallies: Iterable[dict[str, Any]]) -> dict[str, Any]:
  """Sums what `Tally.as_json` returned of several shards.

  Args:
    tallies: of the shards, in order.

  Returns:
    The same of all of them.
  """
  gathered = Tally().as_json()
  sums = {key: collections.Counter() for key in ('pixels', 'images', 'kinds')}
  for tally in tallies:
    for key, total in sums.items():
      total.update(tally[key])
    gathered['num_all_ignored'] += tally['num_all_ignored']
    gathered['all_ignored'] = (
        gathered['all_ignored'] + tally['all_ignored'])[:_NAMED]
    gathered['largest'] = [max(pair) for pair in zip(
        gathered['largest'], tally['largest'])]
  return {**gathered, 'kinds': dict(sorted(sums['kinds'].items())),
          **{key: _by_text(sums[key]) for key in ('pixels', 'images')}}


def _by_text(counts: collections.Counter) -> dict[str, int]:
  return {str(value): counts[value] for value in sorted(counts, key=int)}
