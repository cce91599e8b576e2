"""Tests of headers: what is taken, and what the others are called."""

import io

import handmade_images
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from data_prep import images
from official_ext.tasks import image_header

PIXELS = np.full([2, 2, 4], 200)
MASKS = (0xff0000, 0xff00, 0xff, 0xff000000)
OTHER_ORDER = (0xff, 0xff00, 0xff0000, 0xff000000)


def saved(image_format):
  encoded = io.BytesIO()
  Image.new('RGB', (8, 8)).save(encoded, image_format)
  return encoded.getvalue()


@pytest.mark.parametrize('data', [
    handmade_images.bmp(PIXELS[..., :3], 24), handmade_images.bmp(PIXELS, 32),
    handmade_images.bmp(PIXELS, 32, MASKS),
    handmade_images.bmp(PIXELS, 32, (*MASKS[:3], 0)),
    saved('PNG'), saved('JPEG'), saved('BMP')], ids=lambda data: '')
def test_what_is_taken(data):
  assert image_header.check(tf.constant(data)).numpy() == data


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG', 'BMP'])
@pytest.mark.parametrize('size', [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_a_side_of_one_pixel_is_refused_as_in_the_conversion(
    image_format, size):
  encoded = io.BytesIO()
  Image.new('RGB', size).save(encoded, image_format)
  data = encoded.getvalue()
  if min(size) > 1:
    assert image_header.check(tf.constant(data)).numpy() == data
    images.check(data)
    return
  with pytest.raises(tf.errors.InvalidArgumentError,
                     match='fewer than 2 px on a side'):
    image_header.check(tf.constant(data))
  with pytest.raises(images.CorruptImageError, match='sides of at least 2 px'):
    images.check(data)


def os2_header():
  """A BMP file whose header has 16 bits for its sides, which are 200."""
  data = bytearray(handmade_images.bmp(PIXELS[..., :3], 24))
  data[14] = 12
  return bytes(data)


@pytest.mark.parametrize('data, name', [
    (saved('TIFF'), 'it is TIFF; save it as PNG'),
    (saved('WEBP'), 'it is WebP'), (saved('GIF'), 'it is GIF'),
    (bytes(4) + b'ftypavif' + bytes(40), 'it is AVIF or HEIC'),
    (b'a text', 'it is none'), (b'', 'it is none'),
    (handmade_images.bmp(PIXELS, 32, OTHER_ORDER), 'TensorFlow misreads'),
    (handmade_images.bmp(PIXELS[..., :1], 16), 'TensorFlow misreads'),
    (os2_header(), 'TensorFlow misreads'),
    (handmade_images.bmp(PIXELS, 32, MASKS)[:60], 'TensorFlow misreads'),
], ids=lambda value: value if isinstance(value, str) else '')
def test_what_is_not_taken_has_a_name(data, name):
  with pytest.raises(tf.errors.InvalidArgumentError, match=name):
    image_header.check(tf.constant(data))
