"""Tests of images that are mixed: values."""

import numpy as np
from official.vision.ops import augment
import pytest
import tensorflow as tf

from official_ext.tasks import augmentation


def cut(mixing, height, width, num_images=64):
  """How much of each image is its own, by its pixels and by its label."""
  own = tf.range(num_images)
  images = tf.broadcast_to(
      tf.cast(own, tf.float32)[:, None, None, None],
      [num_images, height, width, 3])
  mixed, labels = mixing(images, own)
  of_label = tf.linalg.diag_part(labels).numpy()
  is_own = mixed.numpy()[..., 0] == np.arange(num_images)[:, None, None]
  return is_own.mean(axis=(1, 2)), of_label, is_own


@pytest.mark.parametrize('height, width', [(16, 16), (12, 40)])
def test_labels_of_cut_images_are_as_their_pixels(height, width):
  tf.random.set_seed(1)
  settings = dict(num_classes=64, mixup_alpha=0.0, label_smoothing=0.0)
  pixels, labels, is_own = cut(
      augmentation.MixupAndCutmix(**settings), height, width)
  np.testing.assert_allclose(pixels, labels, atol=1e-6)
  # Rectangles of any area, some over the edge.
  assert pixels.min() < 0.5
  assert pixels.max() > 0.95
  for image in is_own:
    rows, columns = (~image).any(axis=1), (~image).any(axis=0)
    np.testing.assert_array_equal(~image, np.outer(rows, columns))
    for side in (rows, columns):
      assert (np.diff(np.flatnonzero(side)) == 1).all()
  # Model Garden's are not.
  pixels, labels, _ = cut(augment.MixupAndCutmix(**settings), height, width)
  assert np.abs(pixels - labels).max() > 0.1


def test_sides_of_a_rectangle_by_hand():
  # Half of 4 px to both sides of a centre at 0, 1, 2 or 3; nothing; and half of
  # 2 px, which is what a quarter of the area has.
  share = tf.constant([0.0] * 50 + [1.0] * 50 + [0.75] * 50)
  is_inside, counts = augmentation._interval(share, tf.constant(4))
  np.testing.assert_array_equal(is_inside.numpy().sum(axis=1), counts)
  whole, nothing, half = np.split(counts.numpy(), 3)
  assert set(whole) == {2, 3, 4}
  assert set(nothing) == {0}
  assert set(half) == {1, 2}
