"""Tests of the training images that TensorBoard shows."""

import types

import event_files
import numpy as np
from PIL import Image
import pytest
import short_runs
import tensorflow as tf

from official_ext.checkpoints import choose
from official_ext.tasks import normalization
from official_ext.training import training_images

# Mixing, random numbers in the layers and everything bit by bit.
SETTINGS = {
    'trainer.train_steps': 3, 'trainer.checkpoint_interval': 2,
    'task.model.dropout_rate': 0.1, 'trainer.export.at_end': False,
    'task.model.backbone.funnel_vit.transformer.dropout_rate': 0.1}
SHOWN = 'trainer.logging.training_images'


def weights(model_dir):
  reader = tf.train.load_checkpoint(choose.newest(str(model_dir)))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name != '_CHECKPOINTABLE_OBJECT_GRAPH' and 'metadata' not in name}


@pytest.mark.long
def test_the_first_batch_of_every_start_and_nothing_else_changes(
    digits_dir, tmp_path, monkeypatch):
  kept, taken = [], []
  picture = training_images.picture
  monkeypatch.setattr(training_images, 'picture', lambda batch, task: (
      kept.append(batch), picture(batch, task))[1])
  for count in (0, 5):
    folder = tmp_path / str(count)
    for steps in (2, 3):
      trainer = short_runs.train(digits_dir, folder, **{
          **SETTINGS, SHOWN: count, 'trainer.train_steps': steps})
    # What was trained on first, read anew.
    taken += [batch for batch in trainer.task.build_inputs(
        trainer.config.task.train_data).take(1)]
  # Two starts of one of the two trainings.
  assert len(kept) == 2
  for name, values in weights(tmp_path / '0').items():
    np.testing.assert_array_equal(weights(tmp_path / '5')[name], values, name)
  images, labels = taken[1]
  np.testing.assert_array_equal(kept[1].images, images[:5])
  np.testing.assert_array_equal(kept[1].labels, labels[:5])
  assert (kept[0].images != kept[1].images).any()
  shown = event_files.images(tmp_path / '5' / 'train', training_images.TAG)
  assert sorted(shown) == [1, 3]
  np.testing.assert_array_equal(
      shown[3], np.asarray(picture(kept[1], trainer.task)))
  assert not event_files.images(tmp_path / '0' / 'train', training_images.TAG)


def test_the_first_batch_alone_is_kept():
  written = []
  kept = training_images.TrainingImages(2, tf.distribute.get_strategy())
  kept.write = written.append

  @tf.function
  def steps(first):
    for number in range(first, first + 3):
      kept.keep((tf.fill([4, 1, 1, 3], tf.cast(number, tf.bfloat16)),
                 tf.range(4) + number))

  for first in (7, 20):
    steps(tf.constant(first))
  kept.show()
  np.testing.assert_array_equal(written[0].images, np.full([2, 1, 1, 3], 7))
  np.testing.assert_array_equal(written[0].labels, [7, 8])


def task(names=None):
  config = types.SimpleNamespace(train_data=types.SimpleNamespace(
      mean_rgb=[10.0, 20.0, 30.0], stddev_rgb=[1.0, 2.0, 4.0]))
  return types.SimpleNamespace(task_config=config, class_names=lambda: names)


@pytest.mark.parametrize('height, width, scale', [
    (16, 16, 14), (120, 100, 1), (300, 260, 1), (28, 56, 4)])
def test_the_pixels_of_a_picture(height, width, scale):
  pixels = np.random.RandomState(1).randint(
      0, 256, [5, height, width, 3]).astype(np.float32)
  normal = normalization.of_task(task().task_config)
  images = normal.normalize(tf.constant(pixels)).numpy()
  # Noise of random erasing may lie outside.
  images[0, 0, 0] = [900, -900, 0]
  pixels[0, 0, 0] = [255, 0, 30]
  found = np.asarray(training_images.picture(
      training_images.Batch(images, np.arange(5.0)), task()))
  # Three columns and two rows, of which the last cell is white.
  cell_height = scale * height + 32 + 16
  cell_width = max(224, scale * width) + 16
  assert found.shape == (2 * cell_height + 16, 3 * cell_width + 16, 3)
  for index, image in enumerate(pixels):
    y, x = 16 + index // 3 * cell_height, 16 + index % 3 * cell_width
    np.testing.assert_array_equal(
        found[y:y + scale * height:scale, x:x + scale * width:scale], image)
    # A frame around it, and white as far as to the next.
    frame = found[y - 1:y + scale * height + 1, x - 1:x + scale * width + 1]
    for edge in (frame[0], frame[-1], frame[:, 0], frame[:, -1]):
      assert (edge == 160).all()
    assert (found[y:y + scale * height, x - 15:x - 1] == 255).all()
    below = found[y + scale * height + 1:y + cell_height - 16, x:x + 224]
    assert (below < 128).any()
  assert (found[16 + cell_height:, 16 + 2 * cell_width:] == 255).all()


NAMES = ['cat', 'dog', 'a very long name of a class', 'owl']


@pytest.mark.parametrize('label, expected', [
    (3.0, 'owl'),
    (2.0, 'a very long name of a…'),
    ([0, 1, 0, 0], 'dog'),
    ([0.025, 0.625, 0.325, 0.025], 'dog: 62 %\na very long name of a…: 32 %'),
    # Several labels, and none.
    ([1, 1, 1, 0], 'cat\ndog, 1 more'),
    ([0, 0, 0, 0], 'cat: 0.0 %'),
])
def test_a_caption(label, expected):
  assert training_images.caption(
      np.array(label, np.float32), NAMES.__getitem__) == expected


def test_names_of_classes_are_in_the_picture():
  batch = training_images.Batch(
      np.zeros([1, 32, 32, 3], np.float32), np.zeros([1], np.float32))
  with_name, without = (np.asarray(training_images.picture(batch, task(names)))
                        for names in (['Katze'], None))
  assert with_name.shape == without.shape
  assert (with_name != without).any()
  assert isinstance(training_images.picture(batch, task()), Image.Image)
