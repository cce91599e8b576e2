"""Which images are held out for validation: a choice by their content alone.

Of it the file's size and middle count, so images of one size that differ only
at their ends are on one side. Neither a label's number, a name nor the order of
the images has a part in it, so what is held out stays so when classes are
added, folders renamed or the order's seed changed; and byte-equal images,
wherever they lie, are all held out or all trained on.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterator
import hashlib
import math

from . import image_index
from . import storage

# The share is right in each class.
CLASS = 'class'
# The share is right on average, and an image's side is its own: it stays when
# images are added to its class.
CONTENT = 'content'
METHODS = (CLASS, CONTENT)
# As CLASS, if all images were of one class.
TOGETHER = 'together'

# Of an image's middle, where one differs from the next. The plan is made
# before any image is read, and reading all of them twice would double the
# time of a conversion.
_SAMPLE_BYTES = 16 * 1024
_DIGEST_BYTES = 8


def move(index: image_index.ImageIndex, fraction: float, method: str) -> None:
  """Moves images of the training to the validation.

  Args:
    index: the images, with split and label.
    fraction: of them that are held out, 0 to 1.
    method: one of METHODS, or TOGETHER.

  Raises:
    ValueError: if there are validation images already, or there would be none
      of the training or of the validation.
  """
  if 'validation' in index.totals():
    raise ValueError(
        f'--validation_fraction={fraction:g}, but there are validation images '
        'already. Leave it out.')
  index.digest(digest_of)
  index.hold_out(choose(index, fraction, method))
  if set(index.totals()) >= {'train', 'validation'}:
    return
  if method != CONTENT:
    of = 'no class has' if method == CLASS else 'there are no'
    raise ValueError(
        f'--validation_fraction={fraction:g}, but {of} two different '
        'images: none can be held out. Leave it out.')
  raise ValueError(
      f'--validation_fraction={fraction:g} leaves no images for training or '
      'for validation. Choose another.')


def digest_of(image: image_index.Image) -> bytes | None:
  """Returns a number that an image's content alone decides.

  Args:
    image: the image; its size and up to 16 KiB of its middle are read.

  Returns:
    8 bytes; None if it cannot be read: it is not held out, and becomes no
    record either.
  """
  size = min(image.size, _SAMPLE_BYTES)
  try:
    sample = storage.read_range(
        image.file, image.offset + (image.size - size) // 2, size)
  except OSError:
    return None
  return hashlib.blake2b(
      b'%d/%s' % (image.size, sample), digest_size=_DIGEST_BYTES).digest()


def choose(index: image_index.ImageIndex, fraction: float, method: str
           ) -> Collection[bytes]:
  """Chooses the images that are held out.

  Args:
    index: the images, with their digests.
    fraction: of them that are held out, 0 to 1.
    method: CLASS: of each class the images of the smallest digests, as many as
      the fraction rounded, but one at least, and one at least is left to
      train on. Equal images that lie more often in a class than it has left to
      hold out are trained on, unless no image of it would be held out.
      TOGETHER: the same, of all images as if they were one class. CONTENT:
      those whose digest, taken as a number from 0 to 1, is below the fraction.

  Returns:
    Their digests.
  """
  def digests():
    for digest, by_label in index.digests():
      yield digest, ({0: sum(by_label.values())} if method == TOGETHER else
                     by_label)

  if method == CONTENT:
    return {digest for digest, _ in index.digests() if int.from_bytes(
        digest, 'big') < fraction * 256**_DIGEST_BYTES}
  counts = _count(digests())
  wanted = {label: _share(count, fraction) for label, count in counts.items()}
  held_out = collections.Counter()
  chosen = set()

  def hold_out(digest, by_label):
    chosen.add(digest)
    held_out.update(by_label)

  for digest, by_label in digests():
    if all(held_out[label] + count <= wanted[label]
           for label, count in by_label.items()):
      hold_out(digest, by_label)
  lacking = {label for label in wanted if wanted[label] and not held_out[label]}
  if lacking:
    groups = [
        (sum(by_label.values()), digest, by_label)
        for digest, by_label in digests() if lacking & set(by_label)]
    for _, digest, by_label in sorted(groups, key=lambda group: group[:2]):
      lacks = any(not held_out[label] for label in lacking & set(by_label))
      if lacks and all(held_out[label] + count < counts[label]
                       for label, count in by_label.items()):
        hold_out(digest, by_label)
  return chosen


def _count(groups: Iterator[tuple[bytes, dict[int, int]]]
           ) -> collections.Counter:
  counts = collections.Counter()
  for _, by_label in groups:
    counts.update(by_label)
  return counts


def _share(count: int, fraction: float) -> int:
  """Returns how many images of a class are held out."""
  return min(max(1, math.floor(count * fraction + 0.5)), count - 1)
