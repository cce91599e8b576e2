"""Whether the numbers of an image are sRGB, as TensorFlow takes them to be.

A graph that serves images cannot apply a color profile, so none is applied
anywhere: of images in another space the colors are a little off, and the
conversion counts them. What counts is what a profile does, not its name.
"""

from __future__ import annotations

import functools
import io
import itertools

from PIL import Image
from PIL import ImageCms

# Of 255, on any color of the grid: a plain gamma of 2.2, which some writers
# give for sRGB, is 6 off in the darkest shades.
_TOLERANCE = 8
_SHADES = (0, 32, 64, 96, 128, 160, 192, 224, 255)
_GRID = Image.frombytes('RGB', (9, 81), bytes(
    itertools.chain.from_iterable(itertools.product(_SHADES, repeat=3))))


@functools.lru_cache(maxsize=256)
def is_srgb(profile: bytes) -> bool:
  """Says whether an image with a profile looks the same without it.

  Args:
    profile: an ICC profile, of whatever space.

  Returns:
    Whether its colors, taken for sRGB, are at most 8 of 255 off; False of a
    profile that cannot be read.
  """
  if not profile:
    return True
  return distance(profile) <= _TOLERANCE


def distance(profile: bytes) -> float:
  """Returns how far colors are off where a profile is ignored.

  Args:
    profile: an ICC profile.

  Returns:
    The largest difference of a channel, of 255, over a grid of 9 x 9 x 9
    colors; infinite where the profile cannot be read or is of CMYK, Lab or
    another space whose numbers are not those of RGB.
  """
  try:
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = opened.profile.xcolor_space.strip()
    # Gray is kept in three equal channels.
    mode = {'RGB': 'RGB', 'GRAY': 'L'}[space]
    image = _GRID.convert(mode)
    seen = ImageCms.profileToProfile(
        image, opened, ImageCms.createProfile('sRGB'), outputMode='RGB')
  except (KeyError, OSError, ImageCms.PyCMSError):
    return float('inf')
  return max(abs(first - second) for first, second in zip(
      image.convert('RGB').tobytes(), seen.tobytes()))
