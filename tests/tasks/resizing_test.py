"""Tests of crops and sizes, beside Pillow's on real photographs."""

import pathlib

import numpy as np
from PIL import Image
import pytest
import sklearn.datasets
import tensorflow as tf

from official_ext.configs import image_classification as configs
from official_ext.configs import preprocessing
from official_ext.tasks import resizing

PILLOW = {'bilinear': Image.Resampling.BILINEAR,
          'bicubic': Image.Resampling.BICUBIC,
          'lanczos3': Image.Resampling.LANCZOS}
PHOTOGRAPHS = pathlib.Path(sklearn.datasets.__file__).parent / 'images'


def photograph(name):
  """Pixels, uint8 [427, 640, 3]."""
  return np.asarray(Image.open(PHOTOGRAPHS / name).convert('RGB'))


def resizing_of(size, **settings):
  settings = dict(method='bicubic', antialias=True, mode='crop_then_resize',
                  fraction=1.0) | settings
  return resizing.Resizing(size, **settings)


def published(image, short_side, size, method):
  """Pillow, in the order and with the rounding of torchvision and timm."""
  height, width = image.shape[:2]
  short = min(height, width)
  sides = [short_side if side == short else int(short_side * side / short)
           for side in (height, width)]
  image = np.asarray(Image.fromarray(image).resize(sides[::-1], PILLOW[method]))
  top, left = ((side - kept) // 2 for side, kept in zip(sides, size))
  return image[top:top + size[0], left:left + size[1]]


def differences(ours, theirs):
  return np.abs(ours.numpy() - theirs.astype(float))


@pytest.mark.parametrize('method', PILLOW)
@pytest.mark.parametrize('name', ['china.jpg', 'flower.jpg'])
def test_antialiasing_is_pillows(name, method):
  image = photograph(name)
  # Smaller, much smaller, larger.
  for size in ((224, 224), (17, 30), (500, 700)):
    expected = np.asarray(Image.fromarray(image).resize(
        size[::-1], PILLOW[method]))
    found = differences(resizing_of(
        size, method=method).resize(image), expected)
    # Weights of 22 bits there: another side of a half, now and then.
    assert found.max() <= 1
    assert found.mean() < 1e-2
    plain = differences(resizing_of(
        size, method=method, antialias=False).resize(image), expected)
    if size < image.shape:
      assert plain.max() > 20


@pytest.mark.parametrize('short_side, size', [
    (256, 224), (248, 224), (224, 224), (235, 224), (37, 32)])
@pytest.mark.parametrize('is_turned', [False, True])
def test_the_short_side_first(short_side, size, is_turned):
  image = photograph('china.jpg')
  if is_turned:
    image = image.transpose(1, 0, 2)
  expected = published(image, short_side, (size, size), 'bicubic')
  found = differences(resizing_of(
      (size, size), mode='resize_then_crop', fraction=size / short_side,
  ).resize_and_crop(image), expected)
  assert found.max() <= 1
  assert found.mean() < 1e-2


def test_a_fraction_of_timm_is_rounded_down():
  image = photograph('flower.jpg')
  # 224 / 0.9 is 248.9.
  expected = published(image, 248, (224, 224), 'bilinear')
  found = resizing_of((224, 224), mode='resize_then_crop', fraction=0.9,
                      method='bilinear').resize_and_crop(image)
  assert differences(found, expected).max() <= 1


def test_both_sides_first():
  image = photograph('china.jpg')
  whole = np.asarray(Image.fromarray(image).resize(
      (256, 256), Image.Resampling.BICUBIC))
  found = resizing_of((224, 224), mode='squash_then_crop', fraction=224 / 256
                      ).resize_and_crop(image)
  assert differences(found, whole[16:240, 16:240]).max() <= 1
  nothing_cropped = resizing_of((224, 224), mode='squash_then_crop')
  np.testing.assert_array_equal(
      nothing_cropped.resize_and_crop(image), nothing_cropped.resize(image))


@pytest.mark.parametrize('sides', [(1, 1), (1, 40), (40, 1), (3, 2)])
@pytest.mark.parametrize('mode', preprocessing.RESIZE_MODES[1:])
def test_the_smallest_images_cover_the_input(sides, mode):
  image = np.full([*sides, 3], 7, np.uint8)
  found = resizing_of((16, 24), mode=mode, fraction=0.3).resize_and_crop(image)
  np.testing.assert_array_equal(found, np.full([16, 24, 3], 7.0))


def test_an_input_that_is_not_square_is_covered():
  # Twice as high as wide: 90 x 100 has to become 72 x 80 before 72 x 36.
  ramp = np.tile(np.arange(100, dtype=np.uint8)[:, np.newaxis], [90, 1, 3])
  ramp = ramp.reshape(90, 100, 3)
  found = resizing_of((72, 36), mode='resize_then_crop').resize_and_crop(ramp)
  expected = np.asarray(Image.fromarray(ramp).resize(
      (80, 72), Image.Resampling.BICUBIC))[:, 22:58]
  assert differences(found, expected).max() <= 1


def test_validation_data_follow_the_training_data():
  trained, data = (configs.DataConfig(is_training=value)
                   for value in (True, False))
  trained.resize_antialias = True
  assert resizing.of_data(data, trained, [16, 16]).antialias
  data.resize_antialias = False
  assert not resizing.of_data(data, trained, [16, 16]).antialias
  # A params.yaml of a version that had no choice.
  old = resizing.of_data(data, configs.DataConfig(), [16, 16])
  assert old == resizing.Resizing(
      (16, 16), 'bilinear', False, 'crop_then_resize', 0.875)


def test_a_graph_knows_the_size():
  @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
  def crop(image):
    cropped = resizing_of((16, 24), mode='resize_then_crop', fraction=0.5
                          ).resize_and_crop(image)
    assert cropped.shape == [16, 24, 3]
    return cropped

  assert crop(np.zeros([50, 30, 3], np.uint8)).shape == [16, 24, 3]
