"""Published models are read as their libraries mean them.

`make parity` writes the models anew, at tiny and at base size, and runs this
file on them; a tiny one of each family is kept in tests/pretrained/golden.
"""

import numpy as np
import published_models
import pytest
import tensorflow as tf
import tf_keras

from official_ext.pretrained import published

# Relative to the largest value: the issue's own figure for float32.
TOLERANCE = 1e-4


def close(found, expected):
  error = np.abs(found - expected).max() / np.abs(expected).max()
  assert error < TOLERANCE, error


@pytest.mark.parametrize('name', [
    name if name in published_models.IN_SUITE else
    pytest.param(name, marks=pytest.mark.long)
    for name in published_models.names()])
def test_answers_are_those_of_the_library(name):
  source = published.read(str(published_models.folder(name)))
  model = published_models.ours(source)
  expected = published_models.answers(name)
  backbone = model.backbone
  tokens, features = tf_keras.Model(backbone.inputs, [
      backbone.get_layer('encoder').output, backbone.output['pre_logits']])(
          tf.constant(expected['images']), training=False)
  close(tokens.numpy(), expected['tokens'])
  found = (model(expected['images'], training=False)
           if source.model.num_classes else features[:, 0, 0])
  close(found.numpy(), expected['output'])
  # Nothing is left out but what an image classifier does not have.
  assert set(source.left_out.values()) <= {
      'of masked pretraining', 'of the text tower',
      'which its head does not read'}
