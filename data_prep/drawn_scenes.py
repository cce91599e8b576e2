"""Draws scenes with masks: handwritten digits on parts of photographs.

Small data for semantic segmentation whose masks are known exactly. The digits
are scikit-learn's, enlarged and coloured; the photographs are the two that it
is bundled with, of a temple in China and of a flower. Training and validation
share neither digits nor parts of the photographs.
"""

from __future__ import annotations

from collections.abc import Mapping
import io
import os

import numpy as np
from PIL import Image
from sklearn import datasets

from . import digits
from . import records
from . import storage

TRAIN, VALIDATION = 'train', 'val'
# Of a mask: class d + 1 is the digit d.
BACKGROUND, IGNORED = 0, 255
CLASS_NAMES = ('background', *map(str, range(10)))
# Of the scenes, and of the digits in them, px; both ends may be.
SIDES = (96, 128)
DIGIT_SIDES = (24, 48)
DIGITS_PER_SCENE = (2, 5)

_PHOTOGRAPHS = ('china.jpg', 'flower.jpg')
# Of the width of a photograph, from the left; the rest is for validation.
_FOR_TRAINING = 0.7
# From how much ink on, of 1, a pixel belongs to the digit; from the lower of
# the two on it belongs to neither.
_RIM, _DIGIT = 0.2, 0.5
# Of the colour of a digit from what is below it, in the space of RGB.
_CONTRAST = 120
_TRIES = 20
# Colours at full resolution: the edges of a digit are edges of colour.
_JPEG = {'format': 'JPEG', 'quality': 95, 'subsampling': 0}


class Painter:
  """Draws the scenes of one split; each is a function of seed and number."""

  def __init__(self, split: str, seed: int = 0):
    """Loads digits and photographs.

    Args:
      split: TRAIN or VALIDATION.
      seed: of all that is random.
    """
    is_validation = split == VALIDATION
    images, labels = digits.load()
    chosen = [index for index in range(len(images))
              if digits.is_held_out(index) == is_validation]
    self._images, self._labels = images[chosen], labels[chosen]
    self._photographs = []
    for name in _PHOTOGRAPHS:
      photograph = datasets.load_sample_image(name)
      border = round(_FOR_TRAINING * photograph.shape[1])
      self._photographs.append(
          photograph[:, border:] if is_validation else photograph[:, :border])
    self._seed = (seed, int(is_validation))

  def draw(self, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws a scene.

    Args:
      number: which one, from 0.

    Returns:
      The image, uint8 [H, W, 3], and its mask, uint8 [H, W]: 0 the background,
      d + 1 the digit d, 255 the rim around a digit.
    """
    generator = np.random.default_rng((*self._seed, number))
    height, width = generator.integers(*SIDES, size=2, endpoint=True)
    photograph = self._photographs[generator.integers(len(self._photographs))]
    top = generator.integers(photograph.shape[0] - height, endpoint=True)
    left = generator.integers(photograph.shape[1] - width, endpoint=True)
    image = photograph[top:top + height, left:left + width].astype(np.float64)
    if generator.random() < 0.5:
      image = image[:, ::-1]
    mask = np.full((height, width), BACKGROUND, np.uint8)
    taken = np.zeros((height, width), bool)
    for _ in range(generator.integers(*DIGITS_PER_SCENE, endpoint=True)):
      index = generator.integers(len(self._images))
      side = generator.integers(*DIGIT_SIDES, endpoint=True)
      place = _free_place(generator, taken, side)
      if place is None:
        continue
      taken[place] = True
      ink = _enlarge(self._images[index], side)
      color = _color(generator, image[place], ink)
      image[place] += ink[..., np.newaxis] * (color - image[place])
      mask[place][ink >= _RIM] = IGNORED
      mask[place][ink >= _DIGIT] = self._labels[index] + 1
    return np.rint(image).astype(np.uint8), mask


def _free_place(generator: np.random.Generator, taken: np.ndarray, side: int
                ) -> tuple[slice, slice] | None:
  """Returns a square where there is no digit, or None if none was found."""
  for _ in range(_TRIES):
    top, left = (
        generator.integers(length - side, endpoint=True)
        for length in taken.shape)
    place = slice(top, top + side), slice(left, left + side)
    if not taken[place].any():
      return place
  return None


def _enlarge(image: np.ndarray, side: int) -> np.ndarray:
  """Enlarges a digit, uint8 [8, 8], to ink, 0 to 1, [side, side]."""
  enlarged = Image.fromarray(image).resize(
      (side, side), Image.Resampling.BICUBIC)
  return np.asarray(enlarged) / 255


def _color(generator: np.random.Generator, below: np.ndarray, ink: np.ndarray
           ) -> np.ndarray:
  """Returns a random colour, [3], that can be told from what is below."""
  mean = np.average(below, axis=(0, 1), weights=ink)
  while True:
    color = generator.integers(256, size=3)
    if np.linalg.norm(color - mean) >= _CONTRAST:
      return color


def write(output_dir: str, counts: Mapping[str, int], seed: int = 0) -> None:
  """Writes scenes: images/SPLIT/NAME.jpg, masks/SPLIT/NAME.png, class names.

  Args:
    output_dir: a folder; made if missing.
    counts: the number of scenes by split.
    seed: of all that is random; the same one writes the same files.

  Raises:
    ValueError: if a folder holds files that are none of these scenes.
  """
  folders = {}
  for split, count in counts.items():
    names = [f'scene_{number:05d}' for number in range(count)]
    for kind, ending in (('images', 'jpg'), ('masks', 'png')):
      folder = os.path.join(output_dir, kind, split)
      _check_no_others(folder, {f'{name}.{ending}' for name in names})
      storage.make_folder(folder)
      folders[split, kind] = folder
  for split, count in counts.items():
    painter = Painter(split, seed)
    for number in range(count):
      image, mask = painter.draw(number)
      name = f'scene_{number:05d}'
      _save(image, f'{folders[split, "images"]}/{name}.jpg', **_JPEG)
      _save(mask, f'{folders[split, "masks"]}/{name}.png', format='PNG')
  records.write_class_names(output_dir, CLASS_NAMES)


def _check_no_others(folder: str, names: set[str]) -> None:
  others = [name for name in storage.list_names(folder)
            if name not in names and not name.startswith(storage.UNFINISHED)]
  if others:
    raise ValueError(
        f'{folder} already holds {others[0]}, which is none of the '
        f'{len(names)} scenes to be written. Remove it, or choose another '
        '--output_dir.')


def _save(pixels: np.ndarray, path: str, **settings) -> None:
  encoded = io.BytesIO()
  Image.fromarray(pixels).save(encoded, **settings)
  storage.write_bytes(path, encoded.getvalue())
