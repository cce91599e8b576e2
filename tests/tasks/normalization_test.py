"""Tests of the normalisation of images."""

import numpy as np
import tensorflow as tf

from official_ext.tasks import normalization


def test_there_and_back():
  images = np.random.default_rng(0).uniform(
      0, 255, (2, 5, 4, 3)).astype(np.float32)
  normalized = normalization.IMAGENET.normalize(tf.constant(images)).numpy()
  np.testing.assert_allclose(
      normalized[..., 0], (images[..., 0] - 123.675) / 58.395, atol=1e-5)
  np.testing.assert_allclose(
      normalization.IMAGENET.denormalize(normalized), images, atol=1e-4)
