"""Tests of fixed positions: by hand, and as parts of a model."""

import math

import models
import numpy as np
import tensorflow as tf

from official_ext.modeling import costs
from official_ext.modeling import sin_cos_positions


def test_positions_by_hand():
  # Two rows of three; a quarter of the channels: wavelengths 1 and 10,000.
  found = sin_cos_positions.of_grid((2, 3), 8)
  assert found.shape == (6, 8)
  assert found.dtype == np.float32
  for row in range(2):
    for column in range(3):
      expected = [function(place / wavelength)
                  for place in (column, row)
                  for function in (math.sin, math.cos)
                  for wavelength in (1, 10_000)]
      np.testing.assert_allclose(found[row * 3 + column], expected, atol=1e-7)


def test_the_wavelengths_are_a_geometric_series():
  found = sin_cos_positions.of_grid((1, 2), 16)[1, :4]
  np.testing.assert_allclose(
      found, np.sin([1, 10**(-4 / 3), 10**(-8 / 3), 1e-4]), rtol=1e-6)


def test_tokens_before_the_patches_have_no_position():
  layer = sin_cos_positions.SinCosPositions((2, 2))
  added = layer(tf.ones([1, 6, 8])).numpy() - 1
  np.testing.assert_array_equal(added[:, :2], 0)
  np.testing.assert_allclose(
      added[0, 2:], sin_cos_positions.of_grid((2, 2), 8), atol=2e-7)


def test_a_model_adds_them_and_does_not_train_them():
  settings = dict(layout='B1-1', pooler='gap', position_embedding='sin_cos')
  backbone = models.build_backbone((16, 24), **settings)
  position = backbone.get_layer('encoder')._pos_embed.pos_embedding
  expected = sin_cos_positions.of_grid((4, 6), 64)[None]
  np.testing.assert_array_equal(position, expected)
  backbone.trainable = True
  assert not any(one is position for one in backbone.trainable_variables)
  assert costs.count_parameters(backbone.spec) == sum(
      np.prod(one.shape) for one in backbone.trainable_variables)
  # The same model with a position embedding of these values answers the same.
  learned = models.build_backbone(
      (16, 24), **settings | {'position_embedding': 'learned'})
  assert costs.count_parameters(learned.spec) - costs.count_parameters(
      backbone.spec) == expected.size
  position = learned.get_layer('encoder')._pos_embed.pos_embedding
  position.assign(expected)
  others = [one for one in learned.trainable_variables if one is not position]
  for variable, value in zip(
      others, backbone.trainable_variables, strict=True):
    variable.assign(value)
  images = models.random_images(2, (16, 24))
  np.testing.assert_array_equal(
      backbone(images)['pre_logits'], learned(images)['pre_logits'])
