"""Tests of pixels in the graph: what a conversion makes of the same file."""

import struct

import handmade_images
import numpy as np
import pytest
import tensorflow as tf

from data_prep import images
from data_prep import rgb_pixels
from official_ext.tasks import image_files

# Opaque, transparent, and two in between.
RGBA = np.array([[(200, 0, 40, 255), (200, 0, 40, 0), (200, 0, 40, 128),
                  (7, 99, 255, 51)]])
LA = RGBA[..., 2:]
PALETTE = ((b'PLTE', bytes([255, 0, 0, 0, 255, 0, 0, 0, 255])),)
ALPHA_MASKS = (0xff0000, 0xff00, 0xff, 0xff000000)


def over_white(pixels):
  """By hand: (c * a + 255 * (255 - a)) / 255, rounded."""
  colors, alpha = pixels[..., :-1], pixels[..., -1:]
  return np.floor(
      (colors * alpha + 255 * (255 - alpha)) / 255 + 0.5).astype(int)


def shades(bits, key=None):
  """All shades, or 256 of 65,536, as a PNG file and as they are seen."""
  values = np.arange(256) * (257 if bits == 16 else 1) % 2**bits
  before = () if key is None else ((b'tRNS', struct.pack('>H', key)),)
  data = handmade_images.png(values.reshape(16, 16, 1), bits, 0, before)
  seen = values >> 8 if bits == 16 else values * 255 // (2**bits - 1)
  seen = np.where(values == key, 255, seen)
  return data, seen.reshape(16, 16, 1).repeat(3, axis=-1)


FILES = {
    'PNG RGBA': (handmade_images.png(RGBA, 8, 6), over_white(RGBA)),
    'PNG RGBA 16': (
        handmade_images.png(RGBA * 257, 16, 6), over_white(RGBA)),
    'PNG LA': (handmade_images.png(LA, 8, 4),
               over_white(LA).repeat(3, axis=-1)),
    'PNG RGB': (handmade_images.png(RGBA[..., :3], 8, 2), RGBA[..., :3]),
    'PNG RGB 16': (handmade_images.png(RGBA[..., :3] * 256 + 99, 16, 2),
                   RGBA[..., :3]),
    'PNG RGB, a transparent color': (handmade_images.png(
        RGBA[:, ::3, :3], 8, 2, ((b'tRNS', struct.pack('>3H', 7, 99, 255)),)),
                                     [[(200, 0, 40), (255, 255, 255)]]),
    'PNG palette': (handmade_images.png(
        np.array([[[0], [1], [2]]]), 2, 3, PALETTE),
                    [[(255, 0, 0), (0, 255, 0), (0, 0, 255)]]),
    'PNG palette, transparent': (handmade_images.png(
        np.array([[[0], [1], [2]]]), 2, 3,
        (*PALETTE, (b'tRNS', bytes([0, 128])))),
                                 [[(255,) * 3, (127, 255, 127), (0, 0, 255)]]),
    'BMP': (handmade_images.bmp(RGBA[..., [2, 1, 0]], 24), RGBA[..., :3]),
    'BMP of 32 bits': (
        handmade_images.bmp(RGBA[..., [2, 1, 0, 3]], 32), RGBA[..., :3]),
    'BMP with alpha': (handmade_images.bmp(
        RGBA[..., [2, 1, 0, 3]], 32, ALPHA_MASKS), over_white(RGBA)),
    'BMP without alpha in its masks': (handmade_images.bmp(
        RGBA[..., [2, 1, 0, 3]], 32, (*ALPHA_MASKS[:3], 0)), RGBA[..., :3]),
    **{f'PNG gray {bits}': shades(bits) for bits in (1, 2, 4, 8, 16)},
    **{f'PNG gray {bits}, {key} transparent': shades(bits, key)
       for bits, key in ((1, 0), (2, 2), (4, 9), (8, 9), (16, 257 * 9))},
}


@pytest.fixture(name='decode', scope='module')
def _decode():
  return tf.function(image_files.decode).get_concrete_function(
      tf.TensorSpec([], tf.string))


@pytest.mark.parametrize('name', FILES)
def test_pixels_by_hand_and_as_converted(decode, name, monkeypatch):
  data, expected = FILES[name]
  np.testing.assert_array_equal(decode(tf.constant(data)), expected)
  # The same pixels go into a conversion's JPEG.
  encoded = []
  monkeypatch.setattr(
      images, '_encode', lambda image, *_: encoded.append(image) or
      images.CheckedImage(b'', *image.size))
  monkeypatch.setattr(images, 'MIN_SIDE_PX', 1)
  images.check(data)
  np.testing.assert_array_equal(np.asarray(encoded[0]), expected)


def test_every_color_and_alpha(decode):
  every = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1)
  rgba = every[..., [0, 0, 0, 1]]
  seen = decode(tf.constant(handmade_images.png(rgba, 8, 6))).numpy()
  np.testing.assert_array_equal(seen, over_white(rgba))
  np.testing.assert_array_equal(
      seen, rgb_pixels.over_white(rgba.astype(np.uint8)))


def test_a_jpeg_is_what_tensorflow_decodes(decode):
  data = tf.io.encode_jpeg(RGBA[..., :3].astype(np.uint8)).numpy()
  np.testing.assert_array_equal(
      decode(data), tf.io.decode_jpeg(data, channels=3))


@pytest.mark.parametrize('data', [
    b'', b'no image', FILES['PNG RGBA'][0][:26], FILES['PNG RGBA'][0][:40],
    FILES['BMP with alpha'][0][:60]])
def test_damage_is_an_error(decode, data):
  with pytest.raises(tf.errors.InvalidArgumentError):
    decode(tf.constant(data))
