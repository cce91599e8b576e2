"""Which images are held out for validation: a choice by their content alone.

Of it the file's size and middle count, so images of one size that differ only
at their ends are on one side. Neither a label's number, a name nor the other
images have a part in it, so what is held out stays so when classes or images
are added, folders renamed or the order's seed changed; and byte-equal images,
wherever they lie, are all held out or all trained on.
"""

from __future__ import annotations

import hashlib

from . import image_index
from . import storage

# Of an image's middle, where one differs from the next. The plan is made
# before any image is read, and reading all of them twice would double the
# time of a conversion.
_SAMPLE_BYTES = 16 * 1024
_DIGEST_BYTES = 8


def is_held_out(image: image_index.Image, fraction: float) -> bool:
  """Says whether an image is held out.

  Args:
    image: the image; its size and up to 16 KiB of its middle are read.
    fraction: of all images, 0 to 1, that are held out on average.

  Returns:
    Whether its hash, taken as a number from 0 to 1, is below the fraction. An
    image that cannot be read is not held out; it becomes no record either.
  """
  size = min(image.size, _SAMPLE_BYTES)
  try:
    sample = storage.read_range(
        image.file, image.offset + (image.size - size) // 2, size)
  except OSError:
    return False
  digest = hashlib.blake2b(
      b'%d/%s' % (image.size, sample), digest_size=_DIGEST_BYTES).digest()
  return int.from_bytes(digest, 'big') < fraction * 256**_DIGEST_BYTES
