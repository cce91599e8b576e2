"""One image with its mask, both checked: sizes, and which way up they are."""

from __future__ import annotations

from . import exif_orientation
from . import images
from . import masks

# Which of an image's two sizes its mask has says whether that is turned.
BY_SIZE = 'by_size'
EXIF_ORIENTATIONS = (BY_SIZE, images.APPLY, images.IGNORE)


def check(image_data: bytes, mask_data: bytes, mask_name: str, how: str,
          jpeg_quality: int, orientations: str, rules: masks.Rules
          ) -> tuple[images.CheckedImage, masks.CheckedMask]:
  """Makes an image and its mask what training reads.

  Args:
    image_data: the file of the image.
    mask_data: the file of the mask.
    mask_name: of its file, for messages.
    how: 'header' or 'decode', as `images.check` takes it.
    jpeg_quality: of an image that is encoded again.
    orientations: what the mask of a photograph with an EXIF orientation is of:
      'apply' of the photograph as it is seen, which is turned; 'ignore' of its
      pixels as they are stored, which stay so; 'by_size' of what has its size,
      and both come out as they are seen.
    rules: which values a mask may have.

  Returns:
    Both, of one size.

  Raises:
    images.CorruptImageError: if one of them is not fit, or they do not fit each
      other.
  """
  stored = images.check(
      image_data, how, jpeg_quality, images.IGNORE, keeps_png=True)
  orientation = images.orientation_of(image_data)
  is_known = orientation == exif_orientation.UPRIGHT or (
      exif_orientation.exchanges_sides(orientation) and
      stored.width != stored.height)
  if orientations == BY_SIZE and not is_known:
    raise images.CorruptImageError(
        f'EXIF orientation {orientation}, and no size tells whether the mask '
        f'{mask_name} is of the image as stored or as seen; save the image '
        'upright, or say --exif_orientation=ignore (as stored) or apply (as '
        'seen)')
  try:
    size = masks.size_of(mask_data)
    turns_image, turns_mask = _turned(
        orientation, orientations, (stored.width, stored.height), size)
    mask = masks.check(
        mask_data, rules,
        orientation if turns_mask else exif_orientation.UPRIGHT)
  except images.CorruptImageError as error:
    raise images.CorruptImageError(f'mask {mask_name}: {error}') from None
  if not turns_image:
    return stored, mask
  return images.check(image_data, how, jpeg_quality, images.APPLY), mask


def _turned(orientation: int, orientations: str, stored: tuple[int, int],
            mask: tuple[int, int]) -> tuple[bool, bool]:
  """Says whether the image and the mask are turned, by (width, height)."""
  of_image = 'but the image is {} x {} px'.format(*stored)
  if orientation == exif_orientation.UPRIGHT or orientations == images.IGNORE:
    seen, turns = stored, False
  else:
    seen = stored[::-1] if exif_orientation.exchanges_sides(
        orientation) else stored
    turns = True
    of_image += (f' as stored and {seen[0]} x {seen[1]} px as seen by its EXIF '
                 f'orientation {orientation}')
  if turns and orientations == BY_SIZE and mask == stored:
    return True, True
  if mask != seen:
    raise images.CorruptImageError(
        f'it is {mask[0]} x {mask[1]} px, {of_image} (width x height)')
  return turns, False
