"""Tests of the parser: its values, and Model Garden's where nothing is set."""

import io
import pathlib

import numpy as np
from official.vision.dataloaders import classification_input
from official.vision.ops import augment
from PIL import Image
import pytest
import records_for_tests
import sklearn.datasets
import tensorflow as tf

from official_ext.configs import preprocessing
from official_ext.params import experiment
from official_ext.tasks import parsing

MEAN, STDDEV = [100.0, 127.5, 50.0], [64.0, 127.5, 10.0]
SETTINGS = dict(num_classes=10, aug_crop=False, aug_rand_hflip=False)


def parser(size=16, **settings):
  """The parser of the digits' training data with other settings."""
  params = experiment.load('funnel_vit_digits').replace()
  params.task.model.input_size = [size, size, 3]
  data = params.task.train_data
  data.override(dict(aug_rand_hflip=False, aug_crop=False) | settings)
  return parsing.build_parser(params.task, data)


def tensors(image):
  return {'image/encoded': image, 'image/class/label': tf.constant(3)}


def both(parse, image):
  """An image as it is trained on, and as it is evaluated."""
  return [parse.parse_fn(is_training)(tensors(image))[0].numpy()
          for is_training in (True, False)]


def picture(height=16, width=16, seed=0):
  return records_for_tests.pixels(seed, (height, width, 3))


def test_mean_and_standard_deviation():
  image = picture()
  for found in both(parser(mean_rgb=MEAN, stddev_rgb=STDDEV),
                    tf.io.encode_png(image)):
    np.testing.assert_allclose(
        found, (image - np.array(MEAN)) / STDDEV, atol=2e-5)


def test_those_of_imagenet_are_model_gardens_to_the_bit():
  garden = classification_input.Parser([16, 16], **SETTINGS)
  cropping = classification_input.Parser([16, 16], num_classes=10)
  encoded = tf.io.encode_jpeg(picture(50, 70))
  for ours, theirs in zip(both(parser(), encoded), both(garden, encoded)):
    np.testing.assert_array_equal(ours, theirs)
  np.testing.assert_array_equal(
      both(parser(aug_crop=True), encoded)[1], both(cropping, encoded)[1])


@pytest.mark.parametrize('method', ['nearest', 'bilinear'])
def test_images_that_have_their_size(method):
  image = picture()
  expected = (image - np.array([123.675, 116.28, 103.53])) / [
      58.395, 57.12, 57.375]
  for found in both(parser(tf_resize_method=method), tf.constant(image)):
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize('is_cropped', [False, True])
def test_the_nearest_pixel_is_normalised_too(is_cropped):
  white = tf.io.encode_jpeg(np.full([40, 40, 3], 255, np.uint8))
  expected = (255 - np.array(MEAN)) / STDDEV
  for found in both(parser(tf_resize_method='nearest', aug_crop=is_cropped,
                           mean_rgb=MEAN, stddev_rgb=STDDEV), white):
    np.testing.assert_allclose(
        found, np.broadcast_to(expected, [16, 16, 3]), atol=1e-5)


@pytest.mark.parametrize('image', [picture(40, 50), picture(9, 9)])
def test_antialiasing_in_training_and_evaluation(image):
  expected = np.asarray(Image.fromarray(image).resize(
      (16, 16), Image.Resampling.BILINEAR)).astype(float)
  for found in both(parser(resize_antialias=True, mean_rgb=MEAN,
                           stddev_rgb=STDDEV), tf.io.encode_png(image)):
    assert np.abs(found * STDDEV + MEAN - expected).max() < 1.001


@pytest.mark.parametrize('encode', [tf.io.encode_png, tf.io.encode_jpeg])
def test_crops_of_training_are_antialiased(encode):
  # Stripes of one pixel: whatever is cropped of them is grey in the mean.
  stripes = np.zeros([320, 320, 3], np.uint8)
  stripes[:, ::2] = 255
  settings = dict(aug_crop=True, crop_area_range=[0.5, 0.9],
                  mean_rgb=[0.0] * 3, stddev_rgb=[1.0] * 3,
                  decode_jpeg_only=encode is tf.io.encode_jpeg)
  spread = {}
  for antialias in (True, False):
    image = parser(resize_antialias=antialias, **settings).parse_fn(True)(
        tensors(encode(stripes)))[0].numpy()
    spread[antialias] = np.abs(image - 127.5).max()
  assert spread[True] < 10
  assert spread[False] > 50


def test_the_color_of_what_is_resized_here():
  image = np.full([40, 40, 3], 200, np.uint8)
  found = parser(resize_antialias=True, color_jitter=0.1, mean_rgb=[0.0] * 3,
                 stddev_rgb=[1.0] * 3).parse_fn(True)(
                     tensors(tf.constant(image)))[0].numpy()
  # Brightness, contrast and saturation by a tenth each; the second pulls
  # nothing where all is alike.
  assert 200 * 0.9 - 2 < found.min() <= found.max() < 200 * 1.1 + 2


def test_what_is_erased_stays_what_it_became(monkeypatch):
  seen = []

  def erase(_, image):
    seen.append(image.numpy())
    return tf.ones_like(image)

  monkeypatch.setattr(augment.RandomErasing, 'distort', erase)
  image = picture()
  found = parser(random_erasing={'probability': 1.0}, mean_rgb=MEAN,
                 stddev_rgb=STDDEV).parse_fn(True)(
                     tensors(tf.constant(image)))[0].numpy()
  np.testing.assert_allclose(
      seen, [(image - np.array(MEAN)) / STDDEV], atol=2e-5)
  # It is not normalised anew: noise has a deviation of 1 whatever the mean is.
  assert (found == 1).all()


def test_numbers_of_16_bits_are_rounded_once():
  image = picture()
  expected = tf.cast((image - np.float32(MEAN)) / np.float32(STDDEV),
                     tf.bfloat16).numpy()
  for found in both(parser(dtype='bfloat16', mean_rgb=MEAN, stddev_rgb=STDDEV),
                    tf.constant(image)):
    assert found.dtype == expected.dtype
    # At a half, a last bit of float32 decides.
    assert (found == expected).mean() > 0.99


@pytest.mark.parametrize('mode', preprocessing.RESIZE_MODES)
def test_an_evaluation_in_every_order(mode):
  image = picture(60, 40)
  settings = dict(aug_crop=True, decode_jpeg_only=False,
                  center_crop_fraction=0.8, resize_mode=mode,
                  resize_antialias=True, mean_rgb=[0.0] * 3,
                  stddev_rgb=[1.0] * 3, tf_resize_method='bicubic')
  whole = Image.fromarray(image)
  expected = {
      # The square in the middle, 32 px; 20 x 30 px and 20 x 20 px.
      'crop_then_resize': whole.crop((4, 14, 36, 46)).resize(
          (16, 16), Image.Resampling.BICUBIC),
      'resize_then_crop': whole.resize(
          (20, 30), Image.Resampling.BICUBIC).crop((2, 7, 18, 23)),
      'squash_then_crop': whole.resize(
          (20, 20), Image.Resampling.BICUBIC).crop((2, 2, 18, 18)),
  }
  for encoded in (tf.io.encode_png(image), tf.constant(image)):
    found = parser(**settings).parse_fn(False)(tensors(encoded))[0]
    assert np.abs(found - np.asarray(expected[mode], float)).max() < 1.001


@pytest.mark.parametrize('sides', [(1, 1), (1, 60), (60, 1)])
@pytest.mark.parametrize('mode', preprocessing.RESIZE_MODES)
def test_images_of_a_pixel(sides, mode):
  color = np.array([10, 20, 30], np.uint8)
  encoded = tf.io.encode_png(np.tile(color, [*sides, 1]))
  for antialias in (True, False):
    for found in both(parser(
        aug_crop=True, resize_mode=mode, resize_antialias=antialias,
        decode_jpeg_only=False, mean_rgb=[0.0] * 3, stddev_rgb=[1.0] * 3),
                      encoded):
      np.testing.assert_allclose(
          found, np.broadcast_to(color, [16, 16, 3]), atol=1e-3)


@pytest.mark.parametrize('name', ['china.jpg', 'flower.jpg'])
@pytest.mark.parametrize('mode', preprocessing.RESIZE_MODES)
def test_photographs_as_pillow_reads_them(name, mode):
  encoded = (pathlib.Path(sklearn.datasets.__file__).parent / 'images' / name
             ).read_bytes()
  whole = Image.open(io.BytesIO(encoded))
  # 640 x 427 px; fractions of 1 and of 224 / 256.
  size, fraction, expected = {
      'crop_then_resize': (224, 1.0, whole.crop((106, 0, 533, 427)).resize(
          (224, 224), Image.Resampling.BICUBIC)),
      'resize_then_crop': (224, 0.875, whole.resize(
          (383, 256), Image.Resampling.BICUBIC).crop((79, 16, 303, 240))),
      'squash_then_crop': (224, 1.0, whole.resize(
          (224, 224), Image.Resampling.BICUBIC)),
  }[mode]
  found = parser(
      size, aug_crop=True, center_crop_fraction=fraction, resize_mode=mode,
      resize_antialias=True, tf_resize_method='bicubic', mean_rgb=[0.0] * 3,
      stddev_rgb=[1.0] * 3).parse_fn(False)(tensors(tf.constant(encoded)))[0]
  difference = np.abs(found - np.asarray(expected, float))
  assert difference.max() < 1.001
  assert difference.mean() < 1e-2
