"""Tests of the structure of PNG files: damage that Pillow takes in silence."""

import io
import random

import handmade_images
import image_trees
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
