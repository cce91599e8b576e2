"""Tests of the way from an image of any size to its classes."""

import masks
import numpy as np
from official.vision.dataloaders import segmentation_input as garden
import pytest
import tensorflow as tf

from official_ext.tasks import segmentation_input
from official_ext.tasks import segmentation_output

# (height, width): as the input, landscape, portrait, odd, larger.
SIZES = [(32, 32), (20, 33), (33, 12), (45, 64), (7, 91)]


@pytest.fixture(scope='module')
def task():
  return masks.parameters('nowhere').task


@pytest.mark.parametrize('size', SIZES)
def test_images_are_prepared_as_in_an_evaluation(task, size):
  record = masks.example(masks.mask_of(*size))
  parse = segmentation_input.build_parser(task, task.validation_data.replace(
      groundtruth_padded_size=[96, 96])).parse_fn(False)
  image, labels = parse(garden.Decoder().decode(record))
  encoded = tf.train.Example.FromString(record).features.feature[
      'image/encoded'].bytes_list.value[0]
  prepared, info = segmentation_output.prepare(
      segmentation_output.decode(tf.constant(encoded)), task)
  np.testing.assert_array_equal(prepared, image)
  np.testing.assert_array_equal(info, labels['image_info'])
  assert prepared.shape == (32, 32, 3) and tuple(info[0].numpy()) == size


def test_predictions_at_the_size_of_the_image(task):
  # Landscape: scaled by 2, and the lower half of the input is padding.
  image = tf.zeros([8, 16, 3], tf.uint8)
  _, info = segmentation_output.prepare(image, task)
  np.testing.assert_array_equal(info, [[8, 16], [32, 32], [2, 2], [0, 0]])
  logits = np.random.default_rng(1).normal(size=(8, 8, 4)).astype(np.float32)
  found = segmentation_output.at_own_size(tf.constant(logits), info)
  # The whole input is 16 x 16 px of the image.
  expected = tf.image.resize(logits, (16, 16))[:8]
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_images_that_lose_their_ratio():
  task = masks.parameters('nowhere', **{
      'task.validation_data.preserve_aspect_ratio': False,
      'task.validation_data.resize_eval_groundtruth': True}).task
  prepared, info = segmentation_output.prepare(
      tf.zeros([8, 16, 3], tf.uint8), task)
  assert prepared.shape == (32, 32, 3)
  logits = np.random.default_rng(1).normal(size=(8, 8, 4)).astype(np.float32)
  np.testing.assert_allclose(
      segmentation_output.at_own_size(tf.constant(logits), info),
      tf.image.resize(logits, (8, 16)), atol=1e-6)


def test_images_in_the_middle_are_refused():
  task = masks.parameters('nowhere', **{
      'task.validation_data.centered_crop': True,
      'task.validation_data.resize_eval_groundtruth': True}).task
  with pytest.raises(ValueError, match='Train with centered_crop=false'):
    segmentation_output.check(task)
