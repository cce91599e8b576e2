"""Tests of pairs: sizes, and which way up both come out."""

import io

import image_trees
import mask_trees
import numpy as np
from PIL import Image
import pytest

from data_prep import exif_orientation
from data_prep import images
from data_prep import mask_pairs
from data_prep import masks

RULES = masks.Rules(num_classes=3)


def photograph(orientation, width=24, height=16, image_format='JPEG'):
  exif = Image.Exif()
  exif[exif_orientation.TAG] = orientation
  return image_trees.encode(
      1, image_format, width=width, height=height, exif=exif)


def check(image, mask, orientations='by_size'):
  return mask_pairs.check(image, mask, 'm.png', 'decode', 95, orientations,
                          RULES)


STORED, SEEN = mask_trees.indices(0), mask_trees.indices(0, width=16, height=24)


def test_both_stay_as_they_are():
  for image_format in ('JPEG', 'PNG'):
    image, mask = image_trees.encode(0, image_format), mask_trees.png(STORED)
    checked, checked_mask = check(image, mask)
    assert (checked.encoded, checked_mask.encoded) == (image, mask)
    assert (checked.width, checked.height, checked.was) == (24, 16, '')


@pytest.mark.parametrize('image, was', [
    (image_trees.encode(0, 'BMP'), 'BMP'),
    (image_trees.encode(0, 'PNG', 'RGBA'), 'PNG'),
    (image_trees.encode(0, 'PNG', 'P'), 'PNG'),
    (image_trees.encode(0, 'PNG', 'RGB', transparency=(1, 2, 3)), 'PNG')])
def test_other_images_become_jpeg(image, was):
  checked, _ = check(image, mask_trees.png(STORED))
  assert checked.was == was and checked.encoded.startswith(b'\xff\xd8')


def turned(pixels, orientation):
  """By hand: the stored pixels as they are seen."""
  return {1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1],
          4: pixels[::-1], 5: pixels.T, 6: pixels[::-1].T,
          7: pixels[::-1, ::-1].T, 8: pixels.T[::-1]}[orientation]


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_the_size_tells_what_a_mask_is_of(orientation):
  image = photograph(orientation)
  checked, mask = check(image, mask_trees.png(SEEN))
  assert (checked.width, checked.height) == (16, 24)
  assert np.array_equal(masks.read(mask.encoded), SEEN)
  both, mask = check(image, mask_trees.png(STORED))
  assert both.encoded == checked.encoded and both.orientation == orientation
  assert np.array_equal(masks.read(mask.encoded), turned(STORED, orientation))


@pytest.mark.parametrize('orientation, width, height', [
    (2, 24, 16), (3, 24, 16), (4, 24, 16), (6, 16, 16)])
@pytest.mark.parametrize('image_format', ['JPEG', 'PNG'])
def test_what_no_size_tells_must_be_said(
    orientation, width, height, image_format):
  image = photograph(orientation, width, height, image_format)
  pixels = mask_trees.indices(0, width=width, height=height)
  mask = mask_trees.png(pixels)
  with pytest.raises(images.CorruptImageError) as refused:
    check(image, mask)
  assert str(refused.value).startswith(
      f'EXIF orientation {orientation}, and no size tells whether the mask '
      'm.png')
  stored, same = check(image, mask, 'ignore')
  assert (stored.encoded, same.encoded) == (image, mask)
  seen, same = check(image, mask, 'apply')
  assert seen.orientation == orientation and same.encoded == mask
  expected = turned(np.asarray(Image.open(io.BytesIO(image)).convert(
      'RGB')).transpose(2, 0, 1)[0], orientation)
  decoded = np.asarray(Image.open(io.BytesIO(seen.encoded)))[..., 0]
  assert np.abs(decoded.astype(int) - expected).mean() < 8


@pytest.mark.parametrize('orientations, mask, reason', [
    ('ignore', SEEN, 'it is 16 x 24 px, but the image is 24 x 16 px'),
    ('apply', STORED, 'it is 24 x 16 px, but the image is 24 x 16 px as stored '
     'and 16 x 24 px as seen by its EXIF orientation 6'),
    ('by_size', SEEN[1:], 'it is 16 x 23 px, but the image is 24 x 16 px as ')])
def test_a_mask_of_another_size(orientations, mask, reason):
  with pytest.raises(images.CorruptImageError) as refused:
    check(photograph(6), mask_trees.png(mask), orientations)
  assert f'mask m.png: {reason}' in str(refused.value)


def test_the_image_may_be_at_fault():
  with pytest.raises(images.CorruptImageError, match='^JPEG: truncated'):
    check(image_trees.encode(0)[:-40], mask_trees.png(STORED))
