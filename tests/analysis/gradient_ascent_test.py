"""Tests of class visualisation: where gradient ascent must arrive."""

import numpy as np
import pytest
import tensorflow as tf

from official_ext.analysis import gradient_ascent
from official_ext.analysis import pixels
from official_ext.tasks import normalization as normalization_lib
from official_ext.trained import trained_model


def checks(images):
  """A logit that wants the left white, another that wants it black."""
  left, right = tf.split(images, 2, axis=2)
  wish = tf.reduce_sum(left, (1, 2, 3)) - tf.reduce_sum(right, (1, 2, 3))
  return tf.stack([wish, -wish], axis=1)


def test_it_arrives_where_the_score_is_highest():
  images = gradient_ascent.maximize(
      checks, (4, 6), [0, 1],
      gradient_ascent.Settings(steps=60, step_size=0.05))
  left = np.zeros([4, 6, 3])
  left[:, :3] = 1
  np.testing.assert_allclose(images, [left, 1 - left], atol=1e-6)


def test_l2_pulls_to_grey():
  # Where a step up and the pull back are equal: 1 / 4 from grey.
  images = gradient_ascent.maximize(
      checks, (4, 6), [0],
      gradient_ascent.Settings(steps=400, step_size=0.05, l2=4))
  assert images[0, :, :3].mean() == pytest.approx(0.75, abs=0.01)
  assert images[0, :, 3:].mean() == pytest.approx(0.25, abs=0.01)


def test_blur_softens_the_edge():
  settings = dict(steps=40, step_size=0.05)
  sharp = gradient_ascent.maximize(
      checks, (8, 8), [0], gradient_ascent.Settings(**settings))
  soft = gradient_ascent.maximize(
      checks, (8, 8), [0],
      gradient_ascent.Settings(blur=1.0, blur_every=1, **settings))
  assert np.ptp(sharp[0, 4, 3:5, 0]) == 1
  assert 0.05 < np.ptp(soft[0, 4, 3:5, 0]) < 0.8


@pytest.mark.slow
def test_one_seed_one_picture():
  weights = np.random.default_rng(0).normal(size=[16 * 16 * 3, 10])
  def model(images):
    pixels = tf.reshape(images, [-1, len(weights)])
    return tf.matmul(tf.tanh(pixels), tf.constant(weights, tf.float32))
  settings = dict(steps=5, step_size=0.1, jitter=2, blur=0.5)

  def draw(classes, **changes):
    return gradient_ascent.maximize(
        model, (16, 16), classes,
        gradient_ascent.Settings(**{**settings, **changes}))

  first = draw([3, 8])
  np.testing.assert_array_equal(first, draw([3, 8]))
  assert np.abs(first - draw([3, 8], seed=1)).max() > 0.01
  assert np.abs(first - draw([3, 8], jitter=0)).max() > 0.01
  # Without a class beside it, up to rounding.
  np.testing.assert_allclose(draw([8])[0], first[1], atol=1e-3)
  assert 0 <= first.min() < first.max() <= 1
  grey = draw([3], is_colored=False)
  np.testing.assert_allclose(grey[..., 0], grey[..., 2], atol=1e-6)


@pytest.mark.slow
def test_the_class_becomes_more_probable(trained_dir):
  model = trained_model.find(trained_dir).model
  steps = []
  images = gradient_ascent.maximize(
      model, (16, 16), list(range(10)),
      gradient_ascent.Settings(steps=20, step_size=0.05),
      lambda: steps.append(1))
  before, after = (
      model(pixels.normalize(shown, normalization_lib.IMAGENET))
      for shown in (np.full([1, 16, 16, 3], 0.5, 'f'), images))
  assert (np.diag(after) > before[0].numpy() + 1e-3).all()
  assert len(steps) == 20


def test_the_model_sees_its_own_normalisation():
  # A quarter of white, normalised with a mean and a deviation of its own.
  wanted = (255 / 4 - np.array([10.0, 20.0, 30.0])) / [40.0, 50.0, 60.0]

  def near(images):
    return -tf.reduce_sum((images - wanted) ** 2, (1, 2, 3))[:, tf.newaxis]

  images = gradient_ascent.maximize(
      near, (2, 2), [0], gradient_ascent.Settings(steps=100, step_size=0.05),
      normalization=normalization_lib.Normalization(
          (10.0, 20.0, 30.0), (40.0, 50.0, 60.0)))
  np.testing.assert_allclose(images, np.full([1, 2, 2, 3], 0.25), atol=0.02)
