"""Which TIFF files Pillow reads rightly, and how deep their samples are.

TIFF has more kinds of pixels than any reader; Pillow takes some for what they
are not, without a word. Here stand the reasons to refuse those.

Format: TIFF 6.0. Tags by their numbers there.
"""

from __future__ import annotations

from PIL import TiffImagePlugin

_BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 258, 259, 262, 277
_PLANAR, _COLOR_MAP, _INK_SET, _EXTRA, _FORMAT = 284, 320, 332, 338, 339
_WHITE_IS_ZERO, _RGB, _CMYK, _YCBCR = 0, 2, 5, 6
_COLOR_SPACES = {8: 'CIE Lab', 9: 'ICC Lab', 10: 'ITU Lab', 4: 'mask'}
_UNCOMPRESSED, _OLD_JPEG, _JPEG = 1, 6, 7
_ONE_PLANE, _PLANES = 1, 2
_NUMBERS = {2: 'with a sign', 3: 'in floating point'}


def fault(image: TiffImagePlugin.TiffImageFile) -> str:
  """Says why a file cannot be taken.

  Args:
    image: the file, opened, its pixels not yet read.

  Returns:
    The reason, or ''.
  """
  tags = image.tag_v2
  bits, number = bits_per_sample(image), max(tags.get(_FORMAT, (1,)))
  photometric = tags.get(_PHOTOMETRIC)
  is_raw = tags.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED
  has_planes = tags.get(_PLANAR, _ONE_PLANE) == _PLANES
  if number != 1:
    return (f'samples {_NUMBERS.get(number, "of an unknown kind")}, whose '
            'range is not known')
  if bits > 16:
    return f'samples of {bits} bits, whose range is not known'
  if photometric is None and not image.tag_v2.get(
      _COMPRESSION) == _OLD_JPEG:
    return 'it does not say whether zero is black (photometric interpretation)'
  if photometric in _COLOR_SPACES:
    return f'{_COLOR_SPACES[photometric]} instead of RGB'
  if photometric == _YCBCR and tags.get(_COMPRESSION) not in (
      _OLD_JPEG, _JPEG):
    return 'YCbCr that is not compressed as JPEG'
  if photometric == _CMYK and tags.get(_INK_SET, 1) != 1:
    return 'other inks than CMYK'
  if image.mode in ('P', 'PA') and max(tags.get(_COLOR_MAP, (0,))) < 256:
    return 'a palette of 8 bits where 16 are meant, or of nothing but black'
  if has_planes and (
      image.mode in ('LA', 'PA') or (bits > 8 and is_raw)):
    return 'a plane for each sample of this kind'
  return ''


def bits_per_sample(image: TiffImagePlugin.TiffImageFile) -> int:
  """Returns the bits of a sample."""
  return max(image.tag_v2.get(_BITS, (1,)))


def is_white_zero(image: TiffImagePlugin.TiffImageFile) -> bool:
  """Says whether the file stores white as 0."""
  return image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def has_unnamed_sample(image: TiffImagePlugin.TiffImageFile) -> bool:
  """Says whether a fourth sample of RGB may be anything: alpha or not."""
  tags = image.tag_v2
  return (tags.get(_PHOTOMETRIC) == _RGB and tags.get(_SAMPLES) == 4 and
          not tags.get(_EXTRA))
