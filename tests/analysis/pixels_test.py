"""Tests of images as models take them and as screens show them."""

import numpy as np
import pytest

from official_ext.analysis import pixels
from official_ext.tasks import normalization as normalization_lib

MEAN, STDDEV = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
IMAGENET = normalization_lib.IMAGENET
OTHER = normalization_lib.Normalization((1.0, 2.0, 30.0), (4.0, 5.0, 60.0))


@pytest.mark.parametrize('normalization, mean, stddev', [
    (IMAGENET, MEAN, STDDEV), (OTHER, OTHER.mean, OTHER.stddev)],
                         ids=['ImageNet', 'other'])
def test_there_and_back(normalization, mean, stddev):
  images = np.random.default_rng(0).uniform(size=[2, 4, 5, 3]).astype('f')
  normalized = pixels.normalize(images, normalization).numpy()
  np.testing.assert_allclose(
      normalized, (255 * images - mean) / stddev, atol=1e-5)
  np.testing.assert_allclose(
      pixels.displayable(normalized, normalization), images, atol=1e-6)


def test_a_screen_shows_nothing_beyond_black_and_white():
  assert pixels.displayable(
      np.array([-9.0, 9.0, -9.0]), IMAGENET).tolist() == [0, 1, 0]


def test_black():
  black = pixels.normalize(np.zeros([2, 1, 3], np.float32), IMAGENET).numpy()
  assert black.dtype == np.float32
  np.testing.assert_allclose(
      black, np.broadcast_to(-np.divide(MEAN, STDDEV), (2, 1, 3)), rtol=1e-6)
  assert not pixels.displayable(black, IMAGENET).any()


def test_luminance():
  np.testing.assert_allclose(
      pixels.luminance(np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0]])),
      [1, 0.299, 0.587])
