"""Tests of the augmentation that is not Model Garden's: values."""

import numpy as np
from official.vision.ops import augment
import pytest
import tensorflow as tf

from official_ext.params import experiment
from official_ext.tasks import augmentation
from official_ext.tasks import parsing


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


@pytest.mark.parametrize('std', [0.1, 2.0])
def test_the_magnitude_varies_as_much_as_it_says(std):
  tf.random.set_seed(1)
  randaug = augmentation.RandAugment(magnitude_std=std, magnitude=5)
  drawn = np.array([randaug.magnitude for _ in range(400)])
  # Four standard errors of the mean, and of the standard deviation.
  assert abs(drawn.mean() - 5) < 4 * std / 20
  assert abs(drawn.std() / std - 1) < 4 / np.sqrt(2 * 400)


def test_the_magnitude_stays_between_0_and_10():
  tf.random.set_seed(1)
  drawn = [float(augmentation.RandAugment(
      magnitude_std=50, magnitude=9).magnitude) for _ in range(50)]
  assert min(drawn) == 0
  assert max(drawn) == 10


def rotated(magnitude_std):
  """A training image of which RandAugment does nothing but rotate it."""
  params = experiment.load('funnel_vit_digits', params_override=','.join(
      f'task.train_data.aug_type.{setting}' for setting in (
          'type=randaug', 'randaug.num_layers=1', 'randaug.magnitude=5',
          f'randaug.magnitude_std={magnitude_std}',
          'randaug.exclude_ops=' + str([
              name for name in augment.RandAugment().available_ops
              if name != 'Rotate']))))
  parse = parsing.build_parser(
      params.task, params.task.train_data).parse_fn(is_training=True)
  image = tf.constant(np.random.default_rng(0).integers(
      0, 256, [16, 16, 3], np.uint8))
  return len({parse({'image/encoded': image, 'image/class/label': 3})[0]
              .numpy().tobytes() for _ in range(30)})


def test_images_of_a_training_are_augmented_by_it():
  tf.random.set_seed(1)
  # As it is, and turned to either side.
  assert rotated(0.0) == 3
  assert rotated(1.0) > 10
