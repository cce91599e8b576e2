"""Tests of the structure of PNG files: damage that Pillow takes in silence."""

import io
import random
import struct
import zlib

import handmade_images
import image_trees
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf

from data_prep import images
from data_prep import png_structure

PNG = image_trees.encode(1, 'PNG', width=9, height=7)


def decodes(data):
  """Says whether TensorFlow, and so a server, decodes a file."""
  try:
    tf.io.decode_image(data)
  except tf.errors.InvalidArgumentError:
    return False
  return True


def is_taken(data):
  try:
    images.check(data)
  except images.CorruptImageError:
    return False
  return True


def test_every_truncation_is_found():
  png_structure.check(PNG)
  png_structure.check(PNG + b'what follows the end')
  for length in range(len(PNG)):
    with pytest.raises(png_structure.InvalidPngError, match='truncated'):
      png_structure.check(PNG[:length])
  # Of which Pillow decodes every pixel all the same.
  with Image.open(io.BytesIO(PNG[:-12])) as image:
    image.load()


def test_damage_is_found_where_tensorflow_finds_it():
  generator = random.Random(0)
  taken = 0
  for _ in range(150):
    damaged = bytearray(PNG)
    damaged[generator.randrange(len(PNG))] ^= 1 << generator.randrange(8)
    taken += is_taken(bytes(damaged))
    assert is_taken(bytes(damaged)) <= decodes(bytes(damaged))
  assert taken < 15


def test_a_chunk_that_everybody_must_know():
  unknown = handmade_images.with_png_chunk(PNG, b'ABCD', b'what is it')
  assert not decodes(unknown)
  with pytest.raises(png_structure.InvalidPngError, match="'ABCD' is in no"):
    png_structure.check(unknown)
  assert not is_taken(unknown)


def test_a_chunk_that_nobody_needs_may_be_damaged():
  noted = bytearray(handmade_images.with_png_chunk(PNG, b'prIv', b'a note'))
  noted[noted.index(b'a note')] ^= 1
  png_structure.check(bytes(noted))


def raw_png(width, height, depth, color_type, rows, interlaced=0):
  """A PNG file of zeros in rows of these numbers of bytes, filters apart."""
  header = struct.pack(
      '>IIBBBBB', width, height, depth, color_type, 0, 0, interlaced)
  data = zlib.compress(b''.join(bytes(1 + row) for row in rows))
  chunks = [(b'IHDR', header), (b'PLTE', bytes(6)), (b'IDAT', data[:5]),
            (b'IDAT', data[5:]), (b'IEND', b'')]
  return png_structure.START + b''.join(
      struct.pack('>I', len(content)) + kind + content
      + struct.pack('>I', zlib.crc32(kind + content))
      for kind, content in chunks if kind != b'PLTE' or color_type == 3)


@pytest.mark.parametrize('depth, color_type, channels', [
    (1, 0, 1), (2, 0, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3), (16, 2, 3),
    (1, 3, 1), (4, 3, 1), (8, 4, 2), (8, 6, 4), (16, 6, 4)])
def test_rows_that_are_missing(depth, color_type, channels):
  for width, height in ((9, 7), (1, 1), (3, 9)):
    rows = [-(-width * depth * channels // 8)] * height
    # As section 8.1 draws them, one letter a pass.
    pattern = np.tile(np.array([list(row) for row in (
        '16462646', '77777777', '56565656', '77777777',
        '36463646', '77777777', '56565656', '77777777')]), (2, 2))
    passes = []
    for number in '1234567':
      in_rows = (pattern[:height, :width] == number).sum(1)
      passes += [-(-count * depth * channels // 8)
                 for count in in_rows if count]
    for interlaced, sizes in enumerate((rows, passes)):
      whole = raw_png(width, height, depth, color_type, sizes, interlaced)
      png_structure.check(whole)
      png_structure.check_pixels(whole)
      assert decodes(whole)
      short = raw_png(width, height, depth, color_type, sizes[:-1], interlaced)
      png_structure.check(short)
      with pytest.raises(png_structure.InvalidPngError, match='truncated: '):
        png_structure.check_pixels(short)
      assert not decodes(short) and not is_taken(short)
