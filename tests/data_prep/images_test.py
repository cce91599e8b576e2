"""Tests of what becomes of the bytes of an image."""

import io

import handmade_images
import image_trees
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from data_prep import images
from data_prep import jpeg_structure


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
    (b'', '^empty: zero bytes$'),
    (b'nothing', '^not an image: begins with 6e 6f 74 68$'),
    (b'\0\0\0\x18ftypheic',
     '^not supported: HEIC, AVIF or a video; save it as JPEG or PNG$'),
    (image_trees.encode(1)[:-50],
     '^JPEG: truncated: no end-of-image marker$'),
    (image_trees.encode(1)[:12], '^JPEG: truncated in its headers$'),
    (image_trees.encode(1).replace(b'\xff\xc0', b'\xff\xc3'),
     '^JPEG of a rare kind: not supported: .*; save it as JPEG or PNG$'),
    (image_trees.encode(1).replace(b'\xff\xdb', b'\xff\xed'),
     '^JPEG: damaged: a quantization table is missing$'),
    (save(smooth(), 'PNG')[:-40], '^PNG: truncated: no IEND chunk$'),
    (b'\x89PNG\r\n\x1a\n' + bytes(90), '^PNG: damaged: the checksum of a'),
    (save(smooth(), 'GIF')[:60],
     '^GIF: truncated: it ends before its pixels do$'),
    (save(smooth(), 'WEBP')[:-1], '^WebP: truncated: it ends'),
    (save(smooth(), 'BMP')[:100], '^BMP: truncated: it ends'),
    (save(smooth(), 'TIFF')[:100], '^TIFF: truncated: it ends'),
    (save(smooth(), 'TIFF', compression='tiff_lzw')[:60], '^TIFF: truncated'),
    (b'GIF89a' + bytes(90), '^GIF: damaged: '),
    (save(Image.new('F', (4, 4)), 'TIFF'), '^TIFF: not supported: samples in '
     'floating point, whose range is not known$'),
    (image_trees.encode(1, width=1, height=9),
     '^not supported: 1 x 9 px; the pipeline crops sides of at least 2 px$'),
    (image_trees.encode(1, 'PNG', width=9, height=1), 'sides of at least 2 px'),
    (save(Image.new('1', (13_378, 13_378)), 'PNG'),
     '^PNG: not supported: TensorFlow decodes at most 178956970 px$'),
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


# Three colors by two, each on 8 x 8 px; what is seen of it by orientation 6.
STORED = np.array([[(255, 0, 0), (0, 255, 0), (0, 0, 255)],
                   [(0, 0, 0), (90, 90, 90), (255, 255, 255)]])
SEEN = [[(0, 0, 0), (255, 0, 0)], [(90, 90, 90), (0, 255, 0)],
        [(255, 255, 255), (0, 0, 255)]]


def turned(form, orientation=6):
  """A file of STORED that says how it is to be turned."""
  pixels = STORED.repeat(8, axis=0).repeat(8, axis=1)
  tag = {274: ('H', (orientation,))}
  if form == 'PNG':
    return handmade_images.png(pixels, 8, 2, (
        (b'eXIf', handmade_images.exif(orientation)),))
  if form == 'TIFF':
    return handmade_images.tiff(pixels, 8, 2, tags=tag)
  if form == 'deflated TIFF':
    return handmade_images.tiff(pixels, 8, 2, '>', deflate=True, tags=tag)
  image = Image.fromarray(pixels.astype(np.uint8))
  if form == 'WebP':
    exif = Image.Exif()
    exif[274] = orientation
    return save(image, 'WEBP', lossless=True, exif=exif)
  return handmade_images.with_exif(
      save(image, 'JPEG', quality=100, subsampling=0),
      handmade_images.exif(orientation))


def colors(encoded):
  """The colors of a record by blocks of 8 x 8 px."""
  return tf.io.decode_jpeg(encoded).numpy().astype(int)[4::8, 4::8]


@pytest.mark.parametrize(
    'form', ['JPEG', 'PNG', 'WebP', 'TIFF', 'deflated TIFF'])
def test_orientation_is_one_rule_for_all_forms(form):
  checked = images.check(turned(form))
  assert (checked.width, checked.height) == (16, 24)
  np.testing.assert_allclose(colors(checked.encoded), SEEN, rtol=0, atol=3)
  assert checked.orientation == 6
  assert checked.was == (
      f'{form.split()[-1]}, turned by EXIF orientation 6')
  stored = images.check(turned(form), orientations=images.IGNORE)
  np.testing.assert_allclose(colors(stored.encoded), STORED, rtol=0, atol=3)
  assert (stored.width, stored.height, stored.orientation) == (24, 16, 1)


@pytest.mark.parametrize('orientation', range(10))
def test_a_jpeg_is_untouched_unless_it_is_to_be_turned(orientation):
  data = turned('JPEG', orientation)
  for how in images.CHECKS:
    ignored = images.check(data, how, orientations=images.IGNORE)
    assert (ignored.encoded, ignored.was) == (data, '')
    is_kept = images.check(data, how).encoded == data
    assert is_kept == (orientation not in range(2, 9))


def test_only_exif_turns():
  # Pillow would also turn TIFF by XMP, which no graph could read.
  xmp = b'<x:xmpmeta><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
  data = handmade_images.tiff(
      STORED.repeat(8, axis=0).repeat(8, axis=1), 8, 2,
      tags={700: ('U', xmp)})
  np.testing.assert_allclose(
      colors(images.check(data).encoded), STORED, rtol=0, atol=3)


@pytest.mark.parametrize('form', ['JPEG', 'PNG', 'TIFF', 'WebP'])
def test_other_profiles_are_found_in_every_form(form):
  linear = handmade_images.color_profile((
      (0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708),
      (0.14307, 0.06061, 0.71410)), 1.0)
  image = smooth()
  assert images.check(
      save(image, form.upper(), icc_profile=linear)).has_other_profile
  assert not images.check(save(image, form.upper())).has_other_profile
  if form == 'JPEG':
    # In parts of 65,519 bytes each.
    long = linear + bytes(150_000)
    data = save(image, form, icc_profile=long)
    assert jpeg_structure.parse(data).profile == long


def test_bare_pixels():
  pixels = np.asarray(smooth(size=(32, 32)))
  checked = images.encode_pixels(pixels, 100)
  decoded = tf.io.decode_jpeg(checked.encoded).numpy().astype(int)
  assert np.abs(decoded - pixels).max() < 6
