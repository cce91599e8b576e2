"""Tests of image files of forms that a model does not decode by itself."""

import io

import numpy as np
from PIL import Image
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.tasks import exif_orientation
from official_ext.tasks import file_forms
from official_ext.tasks import image_files


def encode(form, pixels, **options):
  encoded = io.BytesIO()
  Image.fromarray(pixels).save(encoded, form, **options)
  return encoded.getvalue()


def test_what_a_model_decodes_stays():
  for form in ('JPEG', 'PNG', 'BMP'):
    encoded = records_for_tests.encode(form)
    assert file_forms.is_served(encoded)
    assert file_forms.as_served(encoded) is encoded


@pytest.mark.parametrize('orientation', [1, 6, 8])
def test_other_forms_become_png_of_the_same_pixels(orientation):
  pixels = records_for_tests.pixels(0, (6, 4, 3))
  exif = Image.Exif()
  exif[274] = orientation
  for form in ('TIFF', 'WEBP'):
    encoded = encode(form, pixels, exif=exif, lossless=True)
    assert not file_forms.is_served(encoded)
    served = tf.constant(file_forms.as_served(encoded))
    # As stored: the model decides whether to turn it.
    decoded = image_files.decode(served)
    np.testing.assert_array_equal(decoded, pixels)
    assert exif_orientation.read(served) == orientation
    np.testing.assert_array_equal(
        exif_orientation.turn(decoded, exif_orientation.read(served)),
        np.rot90(pixels, {1: 0, 6: -1, 8: 1}[orientation]))
  gif = encode('GIF', np.full([6, 4, 3], 51, 'uint8'))
  np.testing.assert_array_equal(
      image_files.decode(tf.constant(file_forms.as_served(gif))),
      np.full([6, 4, 3], 51))


@pytest.mark.parametrize('encoded, message', [
    (b'', '^empty: zero bytes$'),
    (b'text', 'not an image: begins with 74 65 78 74'),
    (b'\0\0\0\x1cftypheic', 'HEIC, AVIF or a video; save it as JPEG or PNG'),
    (b'\0\0\0\x1cftypavif', 'HEIC, AVIF or a video; save it as JPEG or PNG'),
    (encode('WEBP', np.zeros([8, 8, 3], 'uint8'))[:30], 'WebP: '),
], ids=['nothing', 'text', 'HEIC', 'AVIF', 'damaged'])
def test_what_is_no_image_is_named(encoded, message):
  with pytest.raises(ValueError, match=message):
    file_forms.as_served(encoded)


def test_a_thumbnail_is_small_and_upright():
  pixels = np.zeros([40, 80, 3], 'uint8')
  pixels[:, 40:] = 255
  exif = Image.Exif()
  exif[274] = 6  # To be turned to the right: left comes to the top.
  for form in ('JPEG', 'PNG', 'TIFF'):
    small = file_forms.thumbnail(encode(form, pixels, exif=exif), 20)
    assert small.shape == (20, 10, 3)
    assert small[:8].max() < 20 and small[-8:].min() > 235
