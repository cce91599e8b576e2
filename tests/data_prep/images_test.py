"""Tests of what becomes of the bytes of an image."""

import io

import image_trees
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from data_prep import images


def smooth(mode='RGB', size=(40, 30)):
  """An image that survives JPEG nearly unchanged."""
  ramp = np.linspace(0, 255, size[0])[None, :, None] * np.ones((size[1], 1, 3))
  ramp[..., 1] = 128
  return Image.fromarray(ramp.astype(np.uint8)).convert(mode)


def save(image, image_format, **how):
  encoded = io.BytesIO()
  image.save(encoded, format=image_format, **how)
  return encoded.getvalue()


@pytest.mark.parametrize('how', images.CHECKS)
@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
def test_jpegs_pass_through_untouched(how, mode):
  encoded = image_trees.encode(1, mode=mode, width=33, height=21)
  checked = images.check(encoded, how)
  assert checked == images.CheckedImage(encoded, 33, 21, was='')
  # As the training pipeline decodes.
  assert tf.io.decode_jpeg(encoded, channels=3).shape == (21, 33, 3)


def test_colors_of_cmyk_are_right_without_reencoding():
  encoded = save(smooth('CMYK'), 'JPEG', quality=100)
  decoded = tf.io.decode_jpeg(images.check(encoded).encoded, channels=3).numpy()
  expected = np.asarray(smooth())
  assert np.abs(decoded.astype(int) - expected).mean() < 4


@pytest.mark.parametrize('image_format, mode, was', [
    ('PNG', 'RGB', 'PNG'), ('PNG', 'RGBA', 'PNG'), ('PNG', 'P', 'PNG'),
    ('PNG', 'L', 'PNG'), ('PNG', '1', 'PNG'), ('GIF', 'P', 'GIF'),
    ('BMP', 'RGB', 'BMP'), ('WEBP', 'RGB', 'WebP'), ('TIFF', 'RGB', 'TIFF'),
    ('TIFF', 'CMYK', 'TIFF')])
def test_other_forms_become_rgb_jpegs(image_format, mode, was):
  how = {'lossless': True} if image_format == 'WEBP' else {}
  checked = images.check(save(smooth(mode), image_format, **how))
  assert (checked.width, checked.height, checked.was) == (40, 30, was)
  image = Image.open(io.BytesIO(checked.encoded))
  assert (image.format, image.mode) == ('JPEG', 'RGB')
  expected = np.asarray(smooth(mode).convert('RGB')).astype(int)
  # A picture of two shades has edges, which JPEG blurs.
  tolerance = 30 if mode == '1' else 4
  assert np.abs(np.asarray(image) - expected).mean() < tolerance


def test_sixteen_bits_keep_their_shades():
  shades = np.linspace(0, 65535, 64).astype(np.uint16)[None].repeat(8, axis=0)
  checked = images.check(save(Image.fromarray(shades), 'PNG'))
  decoded = tf.io.decode_jpeg(checked.encoded, channels=3).numpy()[..., 0]
  assert np.abs(decoded - shades / 257).max() < 4


def test_of_an_animation_the_first_frame_is_taken():
  frames = [Image.new('RGB', (16, 16), color) for color in ('red', 'blue')]
  encoded = save(frames[0], 'GIF', save_all=True, append_images=frames[1:])
  image = Image.open(io.BytesIO(images.check(encoded).encoded))
  red, _, blue = image.getpixel((8, 8))
  assert red > 240 and blue < 15


def test_the_name_of_the_form_is_told_by_its_content():
  assert images.looks_like_image(image_trees.encode(1)[:12])
  assert images.looks_like_image(save(smooth(), 'WEBP')[:12])
  assert not images.looks_like_image(b'BM, a text that begins so')
  assert not images.looks_like_image(b'')


@pytest.mark.parametrize('data, reason', [
    (b'', 'zero bytes'),
    (b'<html>not found</html>', 'not an image: begins with 3c 68 74 6d'),
    (image_trees.encode(1)[:-50], 'JPEG: truncated'),
    (save(smooth(), 'PNG')[:-40], 'PNG: '),
    (save(smooth(), 'GIF')[:60], 'GIF: '),
    (save(smooth(), 'WEBP')[:60], 'WebP: '),
    (save(smooth(), 'BMP')[:100], 'BMP: '),
    (save(smooth(), 'TIFF')[:100], 'TIFF: '),
    (save(Image.new('F', (4, 4)), 'TIFF'), 'whose range is not known'),
    (image_trees.encode(1, width=1, height=9), 'sides of at least 2 px'),
    (image_trees.encode(1, 'PNG', width=9, height=1), 'sides of at least 2 px'),
    (b'\x89PNG\r\n\x1a\n' + bytes(90), 'PNG: cannot be identified'),
])
@pytest.mark.parametrize('how', images.CHECKS)
def test_corrupt_images_have_a_reason(data, reason, how):
  with pytest.raises(images.CorruptImageError, match=reason):
    images.check(data, how)


def with_size(encoded, width, height):
  """A JPEG whose frame header claims another size."""
  start = encoded.index(b'\xff\xc0')
  size = height.to_bytes(2, 'big') + width.to_bytes(2, 'big')
  return encoded[:start + 5] + size + encoded[start + 9:]


def test_huge_dimensions_are_refused():
  with pytest.raises(images.CorruptImageError, match='65500 x 65500 px'):
    images.check(with_size(image_trees.encode(1), 65500, 65500))
  png = bytearray(save(smooth(), 'PNG'))
  png[16:24] = (10**6).to_bytes(4, 'big') * 2
  with pytest.raises(images.CorruptImageError, match='PNG'):
    images.check(bytes(png))


def test_damaged_pixels_of_what_is_reencoded_are_found():
  damaged = bytearray(image_trees.encode(1, 'PNG', width=64, height=64))
  damaged[len(damaged) // 2] ^= 0xff
  for how in images.CHECKS:
    with pytest.raises(images.CorruptImageError, match='PNG'):
      images.check(bytes(damaged), how)


def test_reencoding_gives_the_same_bytes_again():
  encoded = save(smooth('RGBA'), 'PNG')
  assert images.check(encoded) == images.check(encoded)
  low = images.check(encoded, jpeg_quality=50)
  assert len(low.encoded) < len(images.check(encoded).encoded)


def test_bare_pixels():
  pixels = np.asarray(smooth(size=(32, 32)))
  checked = images.encode_pixels(pixels, 100)
  decoded = tf.io.decode_jpeg(checked.encoded).numpy().astype(int)
  assert np.abs(decoded - pixels).max() < 6
