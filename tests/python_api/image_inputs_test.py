"""Tests of images as a program has them."""

import pathlib

import image_kinds
import numpy as np
from PIL import Image
import pytest
import records_for_tests
import tensorflow as tf
import write_image_kinds

from data_prep import images as image_forms
from official_ext.command_line import errors
from official_ext.python_api import image_inputs
from official_ext.tasks import exif_orientation

APPLY, IGNORE = exif_orientation.APPLY, exif_orientation.IGNORE


def collect(images, max_value=None, orientations=APPLY):
  return list(image_inputs.collect(images, max_value, orientations))


def test_every_form_of_the_conversion_is_taken(tmp_path):
  path = tmp_path / 'image'
  decoded = 0
  for kind in image_kinds.every():
    try:
      image_forms.check(kind.data)
    except image_forms.CorruptImageError:
      continue
    path.write_bytes(kind.data)
    found, = collect(path)
    if isinstance(found.value, bytes):
      # A server decodes it; tests of serving compare that with what is seen.
      assert found.value == kind.data and kind.form in ('JPEG', 'PNG', 'BMP')
    else:
      write_image_kinds.check_seen(kind, 'the program', found.value)
      decoded += 1
  # All of TIFF, GIF, WebP, and BMP that TensorFlow misreads.
  assert decoded > 50


def test_what_is_not_to_be_turned_stays():
  image = Image.fromarray(records_for_tests.pixels(0, (6, 4, 3)))
  exif = Image.Exif()
  exif[274] = 6
  stored, turned = np.asarray(image), np.rot90(np.asarray(image), -1)
  for form in ('TIFF', 'WEBP'):
    encoded = records_for_tests.io.BytesIO()
    image.save(encoded, form, exif=exif, lossless=True)
    for orientations, expected in ((APPLY, turned), (IGNORE, stored)):
      found, = collect(encoded.getvalue(), orientations=orientations)
      np.testing.assert_array_equal(found.value, expected)


def test_a_pil_image_is_turned_as_its_file():
  image = Image.fromarray(records_for_tests.pixels(0, (6, 4, 3)))
  exif = Image.Exif()
  exif[274] = 6
  encoded = records_for_tests.io.BytesIO()
  image.save(encoded, 'JPEG', exif=exif)
  stored = np.asarray(Image.open(encoded))
  for orientations, expected in (
      (APPLY, np.rot90(stored, -1)), (IGNORE, stored)):
    found, = collect(Image.open(encoded), orientations=orientations)
    np.testing.assert_array_equal(found.value, expected)
  damaged = records_for_tests.io.BytesIO(encoded.getvalue()[:-40])
  with pytest.raises(errors.UserError, match='^the image: .*truncated'):
    collect(Image.open(damaged))


def test_errors_of_rounding_are_no_other_range():
  almost_white = np.full([4, 4], 1.0000002, 'f')
  for images, max_value, value in (
      (almost_white, 1, 255), (np.full([4, 4], 1.0009), 1, 255),
      (np.full([4, 4], -0.0009), 1, 0), (np.full([4, 4], 255.2), None, 255),
      (np.full([4, 4], 16.1), None, 16), (almost_white, 255, 1),
      (np.full([4, 4], 16, 'uint8'), None, 16)):
    found, = collect(images, max_value)
    np.testing.assert_array_equal(found.value, np.full([4, 4, 3], value))


def test_bytes_are_taken_in_any_form():
  encoded = records_for_tests.io.BytesIO()
  Image.new('RGB', (4, 4)).save(encoded, 'PNG')
  for images in (bytearray(encoded.getvalue()),
                 [bytearray(encoded.getvalue())]):
    found, = collect(images)
    assert found.value == encoded.getvalue()
    assert isinstance(found.value, bytes)


def test_arrays_become_rgb_of_8_bits():
  rgb = records_for_tests.pixels(0, (2, 5, 4, 3))
  gray = rgb[..., :1]
  same_gray = np.repeat(gray, 3, axis=-1)
  for images, max_value, expected in (
      (rgb, None, rgb), (rgb[0], None, rgb[:1]), (list(rgb), None, rgb),
      (rgb.astype('int64'), None, rgb), (rgb.astype('f'), None, rgb),
      (tf.constant(rgb), None, rgb), (rgb / 255, 1, rgb),
      ((rgb / 255).astype('float16'), 1, rgb),
      (Image.fromarray(rgb[0]), None, rgb[:1]),
      (gray, None, same_gray), (gray[0], None, same_gray[:1]),
      (gray[0, ..., 0], None, same_gray[:1]),
      ([gray[0, ..., 0], rgb[1]], None, np.stack([same_gray[0], rgb[1]])),
      (rgb + np.float32(0.4), 255, np.minimum(rgb, 255)),
      (np.ones([4, 4], 'f'), 255, np.ones([1, 4, 4, 3])),
      (np.zeros([4, 4], 'f'), None, np.zeros([1, 4, 4, 3])),
  ):
    if max_value == 255:
      images = np.minimum(images, 255)
    found = [one.value for one in collect(images, max_value)]
    np.testing.assert_array_equal(found, expected)
    assert all(value.dtype == np.uint8 for value in found)


@pytest.mark.parametrize('images, max_value, message', [
    ([], None, 'there are no images'),
    (np.zeros([0, 8, 8, 3]), None, 'there are no images'),
    (3, None, 'images is int'),
    ([None], None, 'image 0 is NoneType'),
    ([b'text', 'nothing.png'], None, 'nothing.png does not exist'),
    (str(pathlib.Path(__file__).parent), None, 'is a folder'),
    (b'\0\0\0\x1cftypheic', None, 'HEIC, AVIF or a video; save it as JPEG'),
    (b'text', None, 'the image: not an image: begins with 74 65 78 74'),
    (np.zeros([8, 28, 28]), None, 'images[..., np.newaxis]'),
    (np.zeros([2, 3, 28, 28]), None, 'np.moveaxis(images, -3, -1)'),
    (np.zeros([3, 28, 28]), None, 'np.moveaxis(images, -3, -1)'),
    (np.zeros([2, 28, 28, 4]), None, 'images[..., :3]'),
    (np.zeros([28]), None, 'an array of shape [28]'),
    (np.zeros([1, 28, 3]), None, 'is 1 x 28 px'),
    (Image.new('P', (4, 4)), None, "mode P. Give image.convert('RGB')"),
    (np.zeros([4, 4], bool), None, 'an array of bool'),
    (np.full([4, 4], -1), None, 'values of -1 to -1'),
    (np.full([4, 4], 256.), None, 'values of 256 to 256'),
    (np.full([4, 4], np.nan), None, 'values of nan to nan'),
    (np.full([4, 4], 0.5), None, 'Give max_value=1 if 1 is white'),
    (np.full([4, 4], 200.), 1, 'must have 0 to 1. Leave max_value out'),
    (np.full([4, 4], 1.0000002, 'f'), None, 'Give max_value=1 if 1 is white'),
    (np.full([4, 4], 2.), None, 'floats up to 2, where 255 is white'),
    (np.full([4, 4], 16.), None, 'divide them by what else is white'),
    (np.full([4, 4], -0.0005), None, 'where 255 is white'),
    (np.full([4, 4], 1.05), 1, 'must have 0 to 1. Divide them by what is'),
    (np.full([4, 4], 1.0011), 1, 'values of 1.0011 to 1.0011, but must have'),
    (np.full([4, 4], 1, 'uint8'), 1, 'has integers of 0 to 1'),
    (np.zeros([3, 32, 32]), None, 'gray images, give images[..., np.newaxis]'),
    (b'photos/cat.jpg', None, 'A path is given as text, not as bytes'),
    ('', None, 'the path of an image is empty'),
    ('https://a.org/cat.jpg', None, 'is a web address. Download the image'),
    (np.full([4, 4], 0.5), 2, 'max_value is 2, but must be 255 or 1'),
    (np.full([4, 4, 3], 40_000, 'uint16'), None, 'to 255. Divide them by what '
     'is white, and give max_value=1: images / 65535 of 16 bits'),
    (np.full([4, 4], 40_000.), 1, 'to 1. Divide them by what is white, and'),
    (np.full([4, 4], 300.5), None, 'Give RGB values that are not normalised'),
    (Image.new('I;16', (4, 4)), None, 'mode I;16. Give the path of its file; '
     'or np.asarray(image) / 65535 of 16 bits, and max_value=1'),
    (Image.new('I', (4, 4)), None, 'mode I. Give the path of its file; or np'),
    (Image.new('F', (4, 4)), None, 'mode F. Give np.asarray(image), and max'),
    (np.zeros([4, 4, 2]), None, 'Of gray with alpha, give images[..., :1]'),
], ids=range(40))
def test_what_is_no_image_is_named(images, max_value, message):
  with pytest.raises(errors.UserError) as raised:
    collect(images, max_value)
  assert message in str(raised.value)
  assert '\n' not in str(raised.value)
