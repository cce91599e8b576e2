"""Tests of kinds of pixels, made byte by byte: shades by hand."""

import io
import struct

import handmade_images
import numpy as np
from PIL import Image
import pytest

from data_prep import images
from data_prep import rgb_pixels

ALPHA = {338: ('H', (2,))}


def blocks(samples):
  """Samples [H, W, S], each on 8 x 8 px, which a JPEG hardly changes."""
  return np.asarray(samples).repeat(8, axis=0).repeat(8, axis=1)


def converted(data):
  """The first row of blocks that a record holds, [W, 3]."""
  pixels = np.asarray(Image.open(io.BytesIO(images.check(data).encoded)))
  return pixels[4, 4::8].astype(int)


def gray(bits):
  """Shades from black to white, and as they are of 8 bits."""
  most = 2**bits - 1
  shades = np.array([0, most // 3, most // 2, most])
  expected = shades >> (bits - 8) if bits > 8 else shades * 255 // most
  return blocks(shades[None, :, None]), expected


def assert_shades(data, expected):
  found = converted(data)
  np.testing.assert_allclose(
      found, np.broadcast_to(np.reshape(expected, (len(found), -1)),
                             found.shape), rtol=0, atol=2)


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('bits, photometric', [
    (1, 0), (1, 1), (2, 0), (2, 1), (4, 0), (4, 1), (8, 0), (8, 1), (12, 1),
    (16, 0), (16, 1)])
@pytest.mark.parametrize('how', [{}, {'deflate': True}, {'tile_px': 16}])
def test_gray_tiff(order, bits, photometric, how):
  samples, expected = gray(bits)
  data = handmade_images.tiff(samples, bits, photometric, order, **how)
  if order == '>' and (bits, photometric) in ((12, 1), (16, 0)):
    with pytest.raises(images.CorruptImageError, match='unknown pixel mode'):
      images.check(data)
    return
  assert_shades(data, 255 - expected if photometric == 0 else expected)


COLORS = np.array([[[255, 0, 0], [10, 200, 90], [0, 0, 255]]])


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('planar', [False, True])
@pytest.mark.parametrize('how', [{}, {'deflate': True}, {'tile_px': 16}])
def test_rgb_tiff(order, bits, planar, how):
  # Below the high byte stands what must not be taken for it.
  samples = COLORS if bits == 8 else COLORS * 256 + 77
  data = handmade_images.tiff(
      blocks(samples), bits, 2, order, planar, **how)
  if bits == 16 and planar and not how.get('deflate'):
    with pytest.raises(images.CorruptImageError, match='a plane for each'):
      images.check(data)
    return
  assert_shades(data, COLORS[0])


@pytest.mark.parametrize('name, samples, bits, photometric, how, reason', [
    ('signed', [[[-128], [127]]], 8, 1, {'sample_format': 2}, 'with a sign'),
    ('signed', [[[-9], [9]]], 16, 1, {'sample_format': 2}, 'with a sign'),
    ('float', [[[0.5], [1]]], 32, 1, {'sample_format': 3}, 'floating point'),
    ('32 bits', [[[5], [9]]], 32, 1, {}, '32 bits, whose range'),
    ('Lab', COLORS, 8, 8, {}, 'CIE Lab instead of RGB'),
    ('YCbCr', COLORS, 8, 6, {}, 'not compressed as JPEG'),
    ('dark palette', [[[0], [1]]], 8, 3,
     {'tags': {320: ('H', (*range(256),) * 3)}}, 'a palette of 8 bits'),
    ('other inks', [[[0, 0, 0, 0]]], 8, 5, {'tags': {332: ('H', (2,))}},
     'other inks'),
    ('unnamed sample', [[[9, 9, 9, 200]]], 8, 2, {}, 'not said to be alpha'),
    ('planes of LA', [[[9, 200]]], 8, 1,
     {'tags': ALPHA, 'planar': True, 'deflate': True}, 'a plane for each'),
    ('10 bits', [[[9]]], 10, 1, {}, 'unknown pixel mode'),
])
def test_what_cannot_be_known_is_refused(
    name, samples, bits, photometric, how, reason):
  data = handmade_images.tiff(
      blocks(samples), bits, photometric, **how)
  del name
  with pytest.raises(images.CorruptImageError, match=reason):
    images.check(data)


def test_a_tiff_that_does_not_say_what_zero_is():
  data = handmade_images.tiff(blocks([[[9]]]), 8, 1)
  at = data.index(struct.pack('<HHI', 262, 3, 1))
  with pytest.raises(images.CorruptImageError, match='whether zero is black'):
    images.check(data[:at] + struct.pack('<H', 263) + data[at + 2:])


# Color, alpha and what is seen over white: (c * a + 255 * (255 - a)) / 255.
OVER_WHITE = [
    ((200, 0, 40), 255, (200, 0, 40)), ((200, 0, 40), 0, (255, 255, 255)),
    ((200, 0, 40), 128, (227, 127, 147)), ((0, 0, 0), 51, (204, 204, 204))]


def test_over_white_by_hand():
  pixels = np.array([[(*color, alpha) for color, alpha, _ in OVER_WHITE]],
                    np.uint8)
  assert rgb_pixels.over_white(pixels)[0].tolist() == [
      list(seen) for _, _, seen in OVER_WHITE]
  every = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1)
  color, alpha = every[..., :1], every[..., 1:]
  exact = (color * alpha + 255 * (255 - alpha)) / 255
  found = rgb_pixels.over_white(np.concatenate(
      [color, color, color, alpha], -1).astype(np.uint8))
  assert np.abs(found - exact).max() <= 0.5
  np.testing.assert_array_equal(found[255, :, 0], np.arange(256))


def rgba(scale=1):
  return blocks([[(*color, alpha) for color, alpha, _ in OVER_WHITE]]) * scale


def la(scale=1):
  return blocks([[(90, 255), (90, 0), (90, 128)]]) * scale


SEEN_RGBA = [seen for _, _, seen in OVER_WHITE]
SEEN_LA = [90, 255, (90 * 128 + 255 * 127 + 127) // 255]
PALETTE = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255])


def key(*values):
  return ((b'tRNS', struct.pack(f'>{len(values)}H', *values)),)


@pytest.mark.parametrize('name, data, expected', [
    ('PNG RGBA', handmade_images.png(rgba(), 8, 6), SEEN_RGBA),
    ('PNG RGBA 16', handmade_images.png(rgba(257), 16, 6), SEEN_RGBA),
    ('PNG LA', handmade_images.png(la(), 8, 4), SEEN_LA),
    ('PNG LA 16', handmade_images.png(la(257), 16, 4), SEEN_LA),
    ('TIFF RGBA', handmade_images.tiff(rgba(), 8, 2, tags=ALPHA), SEEN_RGBA),
    ('TIFF RGBA 16',
     handmade_images.tiff(rgba(257), 16, 2, tags=ALPHA), SEEN_RGBA),
    ('TIFF LA', handmade_images.tiff(la(), 8, 1, tags=ALPHA), SEEN_LA),
    # Colors that were multiplied by alpha: c + 255 - a.
    ('TIFF premultiplied', handmade_images.tiff(
        blocks([[(100, 0, 20, 128), (0, 0, 0, 0)]]), 8, 2,
        tags={338: ('H', (1,))}), [(227, 127, 147), (255, 255, 255)]),
    # No alpha, whatever it holds.
    ('TIFF unspecified', handmade_images.tiff(
        blocks([[(100, 0, 20, 0)]]), 8, 2, tags={338: ('H', (0,))}),
     [(100, 0, 20)]),
    ('PNG RGB with a key', handmade_images.png(
        blocks(COLORS), 8, 2, key(10, 200, 90)),
     [(255, 0, 0), (255, 255, 255), (0, 0, 255)]),
    ('PNG palette', handmade_images.png(
        blocks([[[0], [1], [2]]]), 2, 3,
        ((b'PLTE', PALETTE), (b'tRNS', bytes([255, 128])))),
     [(255, 0, 0), (127, 255, 127), (0, 0, 255)]),
], ids=lambda value: value if isinstance(value, str) else '')
def test_transparency_is_over_white(name, data, expected):
  del name
  assert_shades(data, expected)


@pytest.mark.parametrize('bits', [1, 2, 4, 8, 16])
def test_a_transparent_shade_of_any_depth(bits):
  most = 2**bits - 1
  samples = blocks(np.array([0, most])[None, :, None])
  assert_shades(handmade_images.png(samples, bits, 0, key(0)), [255, 255])
  assert_shades(handmade_images.png(samples, bits, 0, key(most)), [0, 255])
  assert_shades(handmade_images.png(samples, bits, 0), [0, 255])
  if bits == 4:
    # Shade 9 is 153 of 255; the key 9 is this shade, not the shade 9 of 255.
    nine = blocks([[[9], [8]]])
    assert_shades(handmade_images.png(nine, 4, 0, key(9)), [255, 8 * 17])
  if bits == 16:
    # 257 * 90 and its neighbour are the same shade of 8 bits.
    close = blocks([[[23130], [23131]]])
    assert_shades(handmade_images.png(close, 16, 0, key(23131)), [90, 255])
    with pytest.raises(images.CorruptImageError, match='transparent color of'):
      images.check(handmade_images.png(
          blocks(COLORS * 257), 16, 2, key(2570, 51400, 23130)))


def test_cmyk_without_adobes_word_is_ink_as_tensorflow_has_it():
  encoded = io.BytesIO()
  Image.new('CMYK', (16, 16), (0, 225, 195, 55)).save(
      encoded, 'JPEG', quality=100, subsampling=0)
  adobe = encoded.getvalue()
  at = adobe.index(b'\xff\xee')
  plain = adobe[:at] + adobe[at + 16:]
  turned = [handmade_images.with_exif(jpeg, handmade_images.exif(3))
            for jpeg in (adobe, plain)]
  # Light = (255 - ink) * (255 - black) / 255; Adobe's files hold 255 - ink.
  assert_shades(turned[0], [(200, 24, 47)] * 2)
  assert_shades(turned[1], [(0, 225 * 55 // 255, 195 * 55 // 255)] * 2)


def test_what_a_frame_does_not_cover_is_white():
  encoded = io.BytesIO()
  Image.new('P', (16, 16), 0).save(encoded, 'GIF')
  data = bytearray(encoded.getvalue())
  # The canvas, at the beginning, becomes wider than the frame.
  data[6:8] = struct.pack('<H', 32)
  assert_shades(bytes(data), [0, 0, 255, 255])


def test_a_bmp_whose_pixels_have_alpha():
  data = handmade_images.bmp(
      rgba()[..., [2, 1, 0, 3]], 32,
      (0xff0000, 0xff00, 0xff, 0xff000000))
  assert_shades(data, SEEN_RGBA)
  # Without masks the fourth byte means nothing.
  assert_shades(handmade_images.bmp(rgba()[..., [2, 1, 0, 3]], 32),
                [color for color, _, _ in OVER_WHITE])
