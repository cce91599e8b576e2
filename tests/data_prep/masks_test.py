"""Tests of mask files: what is read of each kind, and what is refused."""

import random
import struct
import zlib

import mask_trees
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from data_prep import images
from data_prep import masks

COLORS = [(128, 0, 0), (0, 128, 0), (128, 0, 0), (1, 2, 3)]


def raw_png(width, height, depth, color_type, rows):
  """A PNG file of packed rows, by hand."""
  def chunk(kind, content):
    return (struct.pack('>I', len(content)) + kind + content
            + struct.pack('>I', zlib.crc32(kind + content)))
  header = struct.pack('>IIBBBBB', width, height, depth, color_type, 0, 0, 0)
  data = zlib.compress(b''.join(b'\0' + row for row in rows))
  return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', data)
          + chunk(b'IEND', b''))


def test_a_palette_is_written_as_its_indices():
  # Two indices of one color, which TensorFlow's gray could not tell apart.
  data = mask_trees.palette_png([[0, 1, 2], [3, 0, 255]], COLORS)
  checked = masks.check(data, masks.Rules(num_classes=4))
  assert (checked.was, checked.is_as_it_came) == ('palette', False)
  assert tf.io.decode_png(checked.encoded)[..., 0].numpy().tolist() == [
      [0, 1, 2], [3, 0, 255]]
  assert checked.pixels == {0: 2, 1: 1, 2: 1, 3: 1, 255: 1}


@pytest.mark.parametrize('bits', [1, 2, 4])
def test_a_palette_of_few_bits(bits):
  data = mask_trees.palette_png([[0, 1, 1, 0, 1]], COLORS, bits=bits)
  assert data[24] == bits
  assert masks.read(data).tolist() == [[0, 1, 1, 0, 1]]


@pytest.mark.parametrize('depth, row, expected', [
    (1, b'\xb0', [1, 0, 1, 1]), (2, b'\x1b', [0, 1, 2, 3]),
    (4, b'\x0f\x17', [0, 15, 1, 7])])
def test_gray_of_few_bits_is_its_samples(depth, row, expected):
  data = raw_png(4, 2, depth, 0, [row, row])
  assert masks.size_of(data) == (4, 2)
  assert masks.read(data).tolist() == [expected] * 2
  assert masks.check(data, masks.Rules()).was == f'gray of {depth} bits'


def test_gray_of_8_bits_stays_as_it_is():
  data = mask_trees.png(mask_trees.indices(0))
  checked = masks.check(data, masks.Rules(num_classes=3))
  assert checked.is_as_it_came and checked.encoded == data
  assert sum(checked.pixels.values()) == 24 * 16
  assert checked.pixels[255] == 24


def test_classes_that_count_from_1():
  stored = np.array([[0, 1, 150, 255]], np.uint8)
  rules = masks.Rules(150, reduce_zero_label=True)
  checked = masks.check(mask_trees.png(stored), rules)
  assert masks.read(checked.encoded).tolist() == [[255, 0, 149, 255]]
  with pytest.raises(images.CorruptImageError) as refused:
    masks.check(mask_trees.png(stored + np.uint8(1)), rules)
  assert 'the value 150 (stored as 151) in 1 px is no class' in str(
      refused.value)


def test_classes_by_a_map():
  rules = masks.Rules(2, label_map='0-6:255,7:0,8:1')
  stored = np.array([[0, 6, 7, 8, 255]], np.uint8)
  checked = masks.check(mask_trees.png(stored), rules)
  assert masks.read(checked.encoded).tolist() == [[255, 255, 0, 1, 255]]
  assert checked.pixels == {0: 1, 1: 1, 255: 3}
  with pytest.raises(images.CorruptImageError) as refused:
    masks.check(mask_trees.png(stored + np.uint8(3)), rules)
  assert str(refused.value) == (
      'the value 9 in 1 px and 2 more is not in --label_map; 9:255 would '
      'ignore it')
  # A class of what is ignored otherwise.
  binary = mask_trees.png(np.array([[0, 255]], np.uint8))
  assert masks.check(binary, masks.Rules(
      2, label_map='0:0,255:1')).pixels == {0: 1, 1: 1}


def test_the_label_to_ignore_is_another():
  stored = np.array([[0, 1, 11]], np.uint8)
  assert masks.check(mask_trees.png(stored), masks.Rules(
      ignore_label=11)).pixels == {0: 1, 1: 1, 11: 1}
  # What lies beyond it is no class.
  with pytest.raises(images.CorruptImageError, match='0 to 10, and 11 is ign'):
    masks.check(mask_trees.png(stored + np.uint8(1)), masks.Rules(
        ignore_label=11))


GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)
RGB = np.stack([GRAY, GRAY, GRAY[::-1]], -1)


@pytest.mark.parametrize('data, reason', [
    (b'', 'empty: zero bytes'),
    (b'<html>', 'not an image: a web page'),
    (mask_trees.png(GRAY)[:-9], 'PNG: truncated: no IEND chunk'),
    (mask_trees.png(RGB), 'RGB, whose colors are no numbers of classes: it has '
     '12 colors; by the list of colors that the data set has, save one'),
    (mask_trees.png(np.repeat(GRAY[..., None], 3, -1)),
     'its channels are equal, so save one of them alone'),
    (mask_trees.png(np.dstack([RGB, GRAY])), 'not supported: RGBA, whose'),
    (mask_trees.png(np.dstack([GRAY, GRAY])), 'gray with alpha'),
    (mask_trees.png(GRAY.astype(np.uint16)), '16 bits a pixel, of which '
     'training would read the upper 8 alone; save one gray value'),
    (mask_trees.image_trees.encode(0), 'a JPEG, which blurs the numbers'),
    (mask_trees.image_trees.encode(0, 'GIF'), 'no PNG; save'),
    (mask_trees.png(GRAY, exif=(lambda exif: exif.__setitem__(274, 6) or exif)(
        Image.Exif())), 'an EXIF orientation of its own'),
])
def test_what_is_no_mask(data, reason):
  with pytest.raises(images.CorruptImageError) as refused:
    masks.size_of(data)
  assert reason in str(refused.value)


def test_values_that_are_no_class():
  with pytest.raises(images.CorruptImageError) as refused:
    masks.check(mask_trees.png(GRAY), masks.Rules(num_classes=10))
  assert str(refused.value) == (
      'the value 10 in 1 px and 1 more is no class: those are 0 to 9, and 255 '
      'is ignored')


def test_classes_that_seem_to_count_from_1():
  stored = mask_trees.png(np.array([[0, 1, 10]], np.uint8))
  with pytest.raises(images.CorruptImageError) as refused:
    masks.check(stored, masks.Rules(num_classes=10))
  assert str(refused.value).endswith(
      '255 is ignored; if classes count from 1 and 0 is none, say '
      '--reduce_zero_label')


def test_rows_that_are_missing_are_not_class_0():
  data = raw_png(4, 3, 8, 0, [b'\1\2\3\4'])
  with pytest.raises(images.CorruptImageError) as refused:
    masks.size_of(data)
  assert str(refused.value) == (
      'PNG: truncated: 5 of 15 bytes of pixels are there')


def test_sums_over_shards():
  tallies = []
  for number, pixels in enumerate(([[0, 1]], [[255, 255]], [[1], [1]])):
    tally = masks.Tally()
    data = mask_trees.png(np.array(pixels, np.uint8))
    tally.add(masks.check(data, masks.Rules()), f'{number}.jpg',
              *np.shape(pixels), 255)
    tallies.append(tally.as_json())
  assert masks.gather(tallies) == {
      'pixels': {'0': 1, '1': 3, '255': 2},
      'images': {'0': 1, '1': 2, '255': 1},
      'kinds': {'gray of 8 bits': 3}, 'num_all_ignored': 1,
      'all_ignored': ['1.jpg'], 'largest': [2, 2]}


@pytest.mark.parametrize('data', [
    mask_trees.png(mask_trees.indices(3)),
    mask_trees.palette_png(mask_trees.indices(3), COLORS)])
def test_damage_never_changes_a_class_in_silence(data):
  generator = random.Random(0)
  expected = masks.read(data).tolist()
  taken = 0
  for _ in range(150):
    damaged = bytearray(data)
    damaged[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
    damaged = bytes(damaged)
    try:
      masks.size_of(damaged)
      checked = masks.check(damaged, masks.Rules())
    except images.CorruptImageError:
      continue
    taken += 1
    decoded = tf.io.decode_png(checked.encoded)
    assert decoded[..., 0].numpy().tolist() == expected
  assert taken < 15
