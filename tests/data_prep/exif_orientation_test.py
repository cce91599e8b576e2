"""Tests of the orientation that a file says, whole and damaged."""

import io

import handmade_images
import numpy as np
from PIL import Image
import pytest

from data_prep import exif_orientation

# What is seen of rows [[1, 2, 3], [4, 5, 6]] by orientation (EXIF 2.32, 4.6.4):
# where the stored row 0 and column 0 belong.
SEEN = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],  # Top, right.
    3: [[6, 5, 4], [3, 2, 1]],  # Bottom, right.
    4: [[4, 5, 6], [1, 2, 3]],  # Bottom, left.
    5: [[1, 4], [2, 5], [3, 6]],  # Left, top.
    6: [[4, 1], [5, 2], [6, 3]],  # Right, top.
    7: [[6, 3], [5, 2], [4, 1]],  # Right, bottom.
    8: [[3, 6], [2, 5], [1, 4]],  # Left, bottom.
}
GRAY = np.arange(6).reshape(2, 3, 1)


@pytest.mark.parametrize('orientation', SEEN)
def test_what_is_seen(orientation):
  stored = Image.fromarray(GRAY[..., 0].astype(np.uint8) + 1)
  seen = np.asarray(exif_orientation.turn(stored, orientation))
  assert seen.tolist() == SEEN[orientation]


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('kind', 'HI')
@pytest.mark.parametrize('orientation', [1, 6, 8])
def test_both_orders_of_bytes_and_both_types(order, kind, orientation):
  exif = handmade_images.exif(orientation, order, kind)
  assert exif_orientation.of_exif(exif) == orientation
  assert exif_orientation.of_exif(b'Exif\0\0' + exif) == orientation


@pytest.mark.parametrize('name, exif', [
    ('none', b''), ('text', b'no EXIF data'),
    ('out of range', handmade_images.exif(9)),
    ('zero', handmade_images.exif(0)),
    ('a byte', handmade_images.exif(6, kind='B')),
    ('directory beyond the end', b'MM\0*\x7f\xff\xff\xff' + bytes(40)),
    ('directory cut', handmade_images.exif(6)[:20]),
    ('entry cut', handmade_images.exif(6)[:33]),
    ('another magic', b'MM\0+' + handmade_images.exif(6)[4:]),
])
def test_damaged_data_mean_upright(name, exif):
  assert exif_orientation.of_exif(exif) == 1, name


def test_every_cut_and_every_flipped_byte_is_survived():
  exif = handmade_images.exif(6)
  for end in range(len(exif)):
    assert exif_orientation.of_exif(exif[:end]) in (1, 6)
    flipped = exif[:end] + bytes([exif[end] ^ 0xff]) + exif[end + 1:]
    assert exif_orientation.of_exif(flipped) in range(1, 9)


@pytest.mark.parametrize('places', ['before_pixels', 'after_pixels'])
def test_png(places):
  chunks = ((b'eXIf', handmade_images.exif(6, '<')),)
  data = handmade_images.png(GRAY, 8, 0, **{places: chunks})
  assert exif_orientation.of_file(data, 'PNG') == 6
  assert exif_orientation.of_file(
      handmade_images.png(GRAY, 8, 0), 'PNG') == 1
  # A chunk that claims more than there is.
  assert exif_orientation.of_file(
      data[:33] + b'\x7f\xff\xff\xff' + data[37:], 'PNG') == 1


def test_webp():
  exif = Image.Exif()
  exif[exif_orientation.TAG] = 8
  encoded = io.BytesIO()
  Image.new('RGB', (3, 2)).save(encoded, 'WEBP', exif=exif)
  assert exif_orientation.of_file(encoded.getvalue(), 'WebP') == 8


@pytest.mark.parametrize('order', '<>')
def test_tiff_is_set_upright_in_its_bytes(order):
  data = handmade_images.tiff(
      GRAY, 8, 1, order, tags={exif_orientation.TAG: ('H', (6,))})
  assert exif_orientation.of_file(data, 'TIFF') == 6
  upright = exif_orientation.upright_tiff(data)
  assert exif_orientation.of_file(upright, 'TIFF') == 1
  assert np.asarray(Image.open(io.BytesIO(upright))).tolist() == (
      GRAY[..., 0].tolist())
  assert sum(a != b for a, b in zip(data, upright)) == 1


def test_other_forms_have_none():
  assert exif_orientation.of_file(b'GIF89a' + bytes(40), 'GIF') == 1
