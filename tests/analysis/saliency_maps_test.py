"""Tests of saliency: by hand, and against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from official_ext.analysis import models as models_lib
from official_ext.analysis import saliency_maps
from official_ext.tasks import normalization as normalization_lib
from official_ext.trained import trained_model
from official_ext.trained import validation_data


@pytest.fixture(name='model', scope='module')
def _model(trained_dir):
  trained = trained_model.find(trained_dir)
  return models_lib.NamedModel('model', trained, [str(i) for i in range(10)])


@pytest.fixture(name='batch', scope='module')
def _batch(model):
  return next(validation_data.read_records(model.trained, None, 4))


def linear(weights):
  """Logits that are a weighted sum of the pixels."""
  return lambda images: tf.einsum('bhwc,hwck->bk', images, weights)


@pytest.mark.slow
def test_the_gradient_is_that_of_finite_differences(model, batch):
  classes = np.array([3, 0, 7, 9])
  gradient = saliency_maps.Saliency(model.logits).attribute(
      batch.images, classes)
  generator = np.random.default_rng(0)
  step = 0.05
  largest = np.abs(gradient).max(axis=(1, 2, 3))

  def scores(images):
    return model.logits(images).numpy()[np.arange(4), classes].astype(float)

  def difference(direction):
    return (scores(batch.images + step * direction)
            - scores(batch.images - step * direction)) / (2 * step)

  # In some directions at once, and at the pixel that counts most.
  for _ in range(5):
    direction = generator.choice([-1, 1], batch.images.shape).astype(np.float32)
    np.testing.assert_allclose(
        difference(direction), (gradient * direction).sum(axis=(1, 2, 3)),
        rtol=0.02, atol=2 * largest.max())
  for index in range(4):
    place = np.unravel_index(
        np.abs(gradient[index]).argmax(), gradient[index].shape)
    direction = np.zeros_like(batch.images)
    direction[(index, *place)] = 1
    assert difference(direction)[index] == pytest.approx(
        gradient[(index, *place)], rel=0.02)
  assert largest.min() > 1e-4


def test_a_pixel_keeps_its_largest_channel():
  weights = np.zeros([2, 2, 3, 2], np.float32)
  weights[0, 1, :, 1] = [1, -5, 2]
  weights[1, 0, :, 0] = [0.5, 0, 0]
  images = np.random.default_rng(0).normal(size=[2, 2, 2, 3])
  maps = saliency_maps.Saliency(linear(weights))(images, np.array([1, 0]))
  np.testing.assert_allclose(maps, [[[0, 5], [0, 0]], [[0, 0], [0.5, 0]]])


def test_smoothgrad():
  weights = np.random.default_rng(1).normal(size=[4, 4, 3, 2]).astype('f')
  images = np.random.default_rng(2).normal(size=[3, 4, 4, 3]).astype('f')
  classes = np.array([0, 1, 0])
  # Of a linear score the gradient is the same everywhere.
  np.testing.assert_allclose(
      saliency_maps.Saliency(linear(weights), 'smoothgrad')(images, classes),
      np.abs(weights[..., classes]).max(axis=2).transpose(2, 0, 1), rtol=1e-5)
  # Of the sum of the cubes it is 3 x^2, and with the noise 3 (x^2 + s^2).
  def cubes(images):
    return tf.stack([tf.reduce_sum(images ** 3, axis=(1, 2, 3))] * 2, axis=1)
  smooth = saliency_maps.Saliency(cubes, 'smoothgrad').attribute(
      images, classes)
  spans = images.max(axis=(1, 2, 3)) - images.min(axis=(1, 2, 3))
  np.testing.assert_allclose(
      smooth.mean(axis=(1, 2, 3)),
      3 * ((images ** 2).mean(axis=(1, 2, 3)) + (0.15 * spans) ** 2), rtol=0.1)
  # The seed alone decides, not what else is in the batch.
  again = saliency_maps.Saliency(cubes, 'smoothgrad').attribute(
      images[2:], classes[2:])
  np.testing.assert_allclose(again[0], smooth[2], rtol=1e-5)
  other = saliency_maps.Saliency(cubes, 'smoothgrad', seed=1).attribute(
      images[2:], classes[2:])
  assert np.abs(other[0] - smooth[2]).max() > 0.1


@pytest.mark.slow
def test_integrated_gradients_add_up(model, batch):
  classes = np.array([3, 0, 7, 9])
  attributed = saliency_maps.Saliency(
      model.logits, 'integrated_gradients').attribute(batch.images, classes)
  black = np.broadcast_to(
      -np.array([123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375],
      batch.images.shape).astype(np.float32)
  difference = (model.logits(batch.images) - model.logits(black)).numpy()
  expected = difference[np.arange(4), classes]
  np.testing.assert_allclose(
      attributed.sum(axis=(1, 2, 3)), expected, rtol=0.01, atol=1e-4)
  assert np.abs(expected).max() > 1e-3


def test_black_is_where_the_model_has_it():
  weights = np.ones([4, 5, 3, 2], np.float32)
  images = np.random.default_rng(0).normal(size=[1, 4, 5, 3]).astype('f')
  mean, stddev = (10.0, 20.0, 30.0), (40.0, 50.0, 60.0)
  attributed = saliency_maps.Saliency(
      linear(weights), 'integrated_gradients',
      normalization=normalization_lib.Normalization(mean, stddev),
  ).attribute(images, np.array([0]))
  np.testing.assert_allclose(
      attributed, images + np.divide(mean, stddev), rtol=1e-4)


def test_a_method_that_is_none():
  with pytest.raises(ValueError, match="'grad', but must be one of gradient,"):
    saliency_maps.Saliency(lambda images: images, 'grad')


@pytest.mark.parametrize('share, area', [
    (0.3, 0.25), (0.4, 0.25), (0.41, 0.5), (0.7, 0.5), (0.9, 0.75), (1.0, 1)])
def test_the_salient_area(share, area):
  saliency = np.array([[[1, 4], [3, 2]]], np.float32)
  assert saliency_maps.salient_area(saliency, share) == [area]


def test_the_salient_area_of_plain_images():
  saliency = np.stack([np.zeros([5, 4]), np.ones([5, 4])])
  np.testing.assert_array_equal(
      saliency_maps.salient_area(saliency, 0.5), [np.nan, 0.5])
