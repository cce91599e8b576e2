"""Tests of requests that no model can answer: an error each, and no more."""

import gc
import io
import resource
import struct
import zlib

import numpy as np
from PIL import Image
import pytest
import records_for_tests
import tensorflow as tf

GOOD = records_for_tests.encode('JPEG', (40, 30))
_REFUSED = (tf.errors.InvalidArgumentError, TypeError, ValueError)


def huge_png(width=60_000, height=60_000):
  """A header that claims 10 GB, and next to nothing behind it."""
  def chunk(kind, data):
    body = kind + data
    return struct.pack('>I', len(data)) + body + struct.pack(
        '>I', zlib.crc32(body))
  return (b'\x89PNG\r\n\x1a\n' +
          chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
          + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b''))


def huge_jpeg():
  """A real JPEG whose frame header claims 60,000 x 60,000 pixels."""
  position = GOOD.index(b'\xff\xc0') + 5
  sides = struct.pack('>HH', 60_000, 60_000)
  return GOOD[:position] + sides + GOOD[position + 4:]


def huge_bmp():
  encoded = bytearray(records_for_tests.encode('BMP', (4, 4)))
  encoded[18:26] = struct.pack('<ii', 2**31 - 1, -2**31)
  return bytes(encoded)


def palette_bmp():
  encoded = io.BytesIO()
  Image.new('RGB', (8, 8), (9, 80, 200)).quantize(4).save(encoded, 'BMP')
  return encoded.getvalue()


def gif():
  encoded = io.BytesIO()
  Image.new('RGB', (8, 8)).save(encoded, 'GIF')
  return encoded.getvalue()


def random_image(generator):
  """Something that is no image."""
  kind = generator.integers(6)
  if kind == 0:
    return generator.bytes(int(generator.integers(1, 400)))
  if kind == 1:
    return GOOD[:int(generator.integers(1, len(GOOD) // 2))]
  if kind == 2:  # The beginning of a file that is none.
    starts = (b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'BM')
    return starts[generator.integers(3)] + generator.bytes(
        int(generator.integers(0, 200)))
  return (b'', huge_png(), huge_jpeg())[kind - 3]


def bad_calls(serve, generator):
  """Every way to ask wrongly, as a function and the inputs to give it."""
  image = random_image(generator)
  default, tensor, example = (
      serve[name] for name in ('serving_default', 'image_tensor', 'tf_example'))
  pixels = np.zeros([1, 8, 8, 3], np.uint8)
  return [
      (default, {'image_bytes': tf.constant([image])}),
      (default, {'image_bytes': tf.constant([GOOD, image])}),
      (default, {'image_bytes': tf.constant([], tf.string)}),
      (default, {'image_bytes': tf.constant(GOOD)}),
      (default, {'image_bytes': tf.constant([[GOOD]])}),
      (default, {'image_bytes': tf.constant([1.0])}),
      (default, {'image': tf.constant([GOOD])}),
      (tensor, {'image_tensor': tf.constant(pixels[0])}),
      (tensor, {'image_tensor': tf.constant(pixels[:0])}),
      (tensor, {'image_tensor': tf.constant(pixels[:, :0])}),
      (tensor, {'image_tensor': tf.constant(pixels[..., :1])}),
      (tensor, {'image_tensor': tf.constant(pixels, tf.float32)}),
      (example, {'tf_example': tf.constant([image])}),
      (example, {'tf_example': tf.constant([tf.train.Example(
          ).SerializeToString()])}),
      (example, {'tf_example': tf.constant(
          [records_for_tests.example(1, image)])}),
  ]


def ask(serve, count, seed):
  """Asks wrongly `count` times, and rightly now and then."""
  generator = np.random.default_rng(seed)
  expected = serve['default']([GOOD])['logits'].numpy()
  asked = 0
  while asked < count:
    for function, inputs in bad_calls(serve, generator):
      with pytest.raises(_REFUSED):
        function(**inputs)
      asked += 1
    np.testing.assert_array_equal(
        serve['default']([GOOD])['logits'].numpy(), expected)


@pytest.mark.slow
def test_each_is_an_error_of_its_own(serve):
  ask(serve, 150, seed=1)


@pytest.mark.long
def test_two_thousand_leave_the_memory_flat(serve):
  ask(serve, 300, seed=2)
  gc.collect()
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  ask(serve, 2_000, seed=3)
  gc.collect()
  # KiB; a single huge image decoded would be gigabytes.
  grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
  assert grown < 64 * 1024


def test_the_error_says_what_is_wrong(serve):
  for encoded, message in (
      (b'', 'not a JPEG, PNG or BMP image that can be decoded'),
      (b'no image at all', 'not a JPEG, PNG or BMP image'),
      (gif(), 'not a JPEG, PNG or BMP image'),
      (huge_png(), 'the image claims more pixels than are decoded'),
      (huge_jpeg(), 'the image claims more pixels'),
      (huge_bmp(), 'not a JPEG, PNG or BMP image'),
      (palette_bmp(), 'not a JPEG, PNG or BMP image'),
      (GOOD[:len(GOOD) // 3], 'JPEG'),
  ):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
      serve['default']([encoded])


def test_nothing_in_the_request(serve):
  with pytest.raises(tf.errors.InvalidArgumentError,
                     match='the request has no images'):
    serve['default']([])
  with pytest.raises(tf.errors.InvalidArgumentError,
                     match='a tf.Example has no image'):
    serve['tf_example'](tf_example=tf.constant(
        [records_for_tests.example(1, b'')]))
