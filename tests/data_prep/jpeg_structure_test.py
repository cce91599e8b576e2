"""Tests of the structure of JPEG files: by hand, and against the decoders."""

import io
import random

import image_trees
from PIL import Image
import proofs
import pytest
import tensorflow as tf

from data_prep import jpeg_structure

KINDS = {
    'baseline': dict(),
    'progressive': dict(progressive=True),
    'optimized': dict(optimize=True, subsampling=0),
    'restarts': dict(restart_marker_rows=1),
    'gray': dict(mode='L'),
    'cmyk': dict(mode='CMYK'),
}


def segment(marker, content):
  return (bytes([0xff, marker]) + (len(content) + 2).to_bytes(2, 'big')
          + content)


def minimal(frame=None, dht=None, scan=None, marker=0xC0):
  """A gray image of one block, put together by hand."""
  return b''.join([
      b'\xff\xd8', segment(0xDB, b'\0' + b'\1' * 64),
      segment(marker, frame or b'\x08\0\x08\0\x08\1\1\x11\0'),
      # One code of one bit, for "no difference" and "end of block".
      segment(0xC4, dht or (b'\0\1' + bytes(15) + b'\0')),
      segment(0xC4, b'\x10\1' + bytes(15) + b'\0'),
      segment(0xDA, scan or b'\1\1\0\0\x3f\0'), b'\x3f', b'\xff\xd9'])


@pytest.mark.parametrize('kind', KINDS)
def test_what_encoders_write(kind):
  encoded = image_trees.encode(1, width=50, height=37, **KINDS[kind])
  assert jpeg_structure.parse(encoded) == jpeg_structure.Structure(
      50, 37, {'gray': 1, 'cmyk': 4}.get(kind, 3), supported=True)
  # Bytes after the end do not matter; libjpeg does not read them.
  jpeg_structure.parse(encoded + b'\0\xff\xd8trailer')


@pytest.mark.parametrize('kind', KINDS)
def test_every_truncation_is_found(kind):
  encoded = image_trees.encode(1, **KINDS[kind])
  for length in range(len(encoded)):
    with pytest.raises(jpeg_structure.InvalidJpegError):
      jpeg_structure.parse(encoded[:length])


def test_a_file_put_together_by_hand():
  structure = jpeg_structure.parse(minimal())
  assert structure == jpeg_structure.Structure(8, 8, 1, supported=True)
  assert tf.io.decode_jpeg(minimal()).shape == (8, 8, 1)


@pytest.mark.parametrize('changes, reason', [
    (dict(frame=b'\x08\0\0\0\x08\1\1\x11\0'), '8 x 0 px'),
    (dict(frame=b'\x08\0\x08\0\0\1\1\x11\0'), '0 x 8 px'),
    (dict(frame=b'\x08\0\x08\xff\xdd\1\1\x11\0'), 'at most 65500 px'),
    (dict(frame=b'\x08\0\x08\0\x08\2\1\x11\0'), 'damaged frame header'),
    (dict(frame=b'\x08\0\x08\0\x08\1\1\x51\0'), 'damaged frame header'),
    (dict(frame=b'\x08\0\x08\0\x08\1\1\x11\2'), 'quantization table'),
    # Two codes of one bit leave none for the code of ones.
    (dict(dht=b'\0\2' + bytes(15) + b'\0\1'), 'impossible codes'),
    (dict(dht=b'\0\1' + bytes(15) + b'\x10'), 'impossible values'),
    (dict(dht=b'\x20\1' + bytes(15) + b'\0'), 'damaged Huffman table'),
    (dict(dht=b'\0\2' + bytes(15) + b'\0'), 'damaged Huffman table'),
    (dict(scan=b'\1\2\0\0\x3f\0'), 'components that are not there'),
    (dict(scan=b'\1\1\x22\0\x3f\0'), 'Huffman table is missing'),
    (dict(scan=b'\0\0\x3f\0'), 'damaged scan header'),
    (dict(marker=0xC2, scan=b'\1\1\0\0\x05\0'), 'damaged progression'),
    (dict(marker=0xB0), 'unknown marker FFB0'),
])
def test_what_libjpeg_refuses_too(changes, reason):
  with pytest.raises(jpeg_structure.InvalidJpegError, match=reason):
    jpeg_structure.parse(minimal(**changes))
  with pytest.raises(tf.errors.InvalidArgumentError):
    tf.io.decode_jpeg(minimal(**changes))


def test_rare_kinds_are_known_as_such():
  twelve_bits = minimal(frame=b'\x0c\0\x08\0\x08\1\1\x11\0', marker=0xC1)
  assert not jpeg_structure.parse(twelve_bits).supported
  assert not jpeg_structure.parse(minimal(marker=0xC9)).supported


def test_a_thumbnail_does_not_end_the_image():
  encoded = image_trees.encode(1)
  thumbnail = segment(0xE1, image_trees.encode(2))
  with_thumbnail = encoded[:2] + thumbnail + encoded[2:]
  assert jpeg_structure.parse(with_thumbnail).width == 24
  with pytest.raises(jpeg_structure.InvalidJpegError, match='truncated'):
    jpeg_structure.parse(with_thumbnail[:-10])


def damage(encoded, generator):
  """Flips, overwrites or cuts out bytes."""
  damaged = bytearray(encoded)
  start = generator.randrange(len(damaged))
  end = start + generator.randrange(1, 60)
  how = generator.choice(['bit', 'header bit', 'bytes', 'zeros', 'cut'])
  if how == 'bit':
    damaged[start] ^= 1 << generator.randrange(8)
  elif how == 'header bit':
    damaged[generator.randrange(650)] ^= 1 << generator.randrange(8)
  elif how == 'bytes':
    for _ in range(generator.randrange(2, 20)):
      damaged[generator.randrange(len(damaged))] = generator.randrange(256)
  elif how == 'zeros':
    damaged[start:end] = bytes(len(damaged[start:end]))
  else:
    del damaged[start:end]
  return bytes(damaged)


def decodes(encoded):
  try:
    tf.io.decode_jpeg(encoded, channels=3)
  except tf.errors.InvalidArgumentError:
    return False
  return True


@pytest.mark.parametrize('count', [
    2_000, pytest.param(proofs.choose(10_000, 60_000), marks=pytest.mark.long)])
def test_what_passes_is_decoded_by_tensorflow(count):
  generator = random.Random(count)
  originals = [image_trees.encode(seed, width=64, height=48, **how)
               for seed in range(4) for kind, how in KINDS.items()]
  passed = refused = lost = 0
  for _ in range(count):
    damaged = damage(generator.choice(originals), generator)
    try:
      structure = jpeg_structure.parse(damaged)
    except jpeg_structure.InvalidJpegError:
      refused += 1
      lost += decodes(damaged)
      continue
    if structure.supported and structure.width * structure.height < 2e7:
      passed += 1
      assert decodes(damaged), damaged.hex()
  # Neither half is empty, and what is refused is next to never decodable.
  assert passed > 0.3 * count and refused > 0.1 * count
  assert lost < 0.02 * refused


def test_pillow_sees_the_same_size():
  for seed, how in enumerate(KINDS.values()):
    encoded = image_trees.encode(seed, width=31 + seed, height=77, **how)
    structure = jpeg_structure.parse(encoded)
    assert Image.open(io.BytesIO(encoded)).size == (
        structure.width, structure.height)
