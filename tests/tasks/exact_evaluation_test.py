"""Tests of the evaluation that covers every image exactly once."""

import models
import numpy as np
from official.core import task_factory
import pytest
import records_for_tests
import tensorflow as tf

from official_ext.configs import experiment
from official_ext.tasks import exact_evaluation
from official_ext.training import driver
from official_ext.training import trainer as trainer_lib

NUM_IMAGES = 37


def batches(num_images, batch_size, num_replicas=1):
  images = np.arange(1, num_images + 1, dtype=np.float32)
  dataset = tf.data.Dataset.from_tensor_slices(
      (images[:, np.newaxis], images.astype(np.int32))).batch(batch_size)
  return exact_evaluation.fill_up(dataset, batch_size, num_replicas)


def test_the_last_batch_is_filled_up():
  first, last = batches(5, 3)
  np.testing.assert_array_equal(first[1][1], [1, 1, 1])
  images, (labels, weights) = last
  np.testing.assert_array_equal(images, [[4], [5], [0]])
  np.testing.assert_array_equal(labels, [4, 5, 0])
  np.testing.assert_array_equal(weights, [1, 1, 0])


@pytest.mark.parametrize('num_images', [1, 7, 8, 9, 37])
@pytest.mark.parametrize('num_replicas', [1, 2, 3, 8])
def test_every_image_is_in_a_step_that_all_replicas_take(
    num_images, num_replicas):
  taken = list(batches(num_images, 4, num_replicas))
  num_steps = len(taken) // num_replicas
  weights = np.concatenate(
      [batch[1][1] for batch in taken[:num_steps * num_replicas]])
  assert weights.sum() == num_images


def test_shapes_are_static():
  images, (labels, weights) = batches(5, 3).element_spec
  assert images.shape == [3, 1]
  assert labels.shape == [3] and weights.shape == [3]


@pytest.mark.parametrize('label_smoothing', [0.0, 0.1])
def test_the_loss_of_the_images_that_count(label_smoothing):
  params = experiment.load('vit_imagenet', params_override=(
      f'task.losses.label_smoothing={label_smoothing},'
      'task.losses.loss_weight=2.0'))
  task = task_factory.get_task(params.task)
  generator = np.random.default_rng(0)
  labels = tf.one_hot([1, 2, 3, 0], 1001)
  outputs = tf.constant(generator.normal(size=(4, 1001)), tf.float32)
  aux_losses = [tf.constant(0.25)]
  loss = exact_evaluation.weighted_loss(
      task.build_losses, labels, outputs, tf.constant([1., 1, 1, 0]),
      aux_losses)
  expected = task.build_losses(labels[:3], outputs[:3], aux_losses)
  np.testing.assert_allclose(loss, expected, rtol=1e-6)
  nothing = exact_evaluation.weighted_loss(
      task.build_losses, labels, outputs, tf.zeros([4]), aux_losses)
  assert float(nothing) == 0


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  """37 images of all classes, a training shard among them."""
  folder = tmp_path_factory.mktemp('exact')
  generator = np.random.default_rng(0)
  records = [
      records_for_tests.example(
          index % 10, records_for_tests.encode(
              'JPEG', (16, 16), tuple(map(int, generator.integers(0, 256, 3)))))
      for index in range(NUM_IMAGES)]
  records_for_tests.write(folder / 'train-00000-of-00001', records)
  records_for_tests.write(folder / 'validation-00000-of-00001', records)
  return folder


@pytest.mark.parametrize(('batch_size', 'num_replicas'), [
    (8, 2), *(pytest.param(*case, marks=pytest.mark.long)
              for case in ((8, 1), (64, 1), (64, 2)))])
def test_37_images(data_dir, tmp_path, num_replicas, batch_size):
  params = experiment.load('funnel_vit_digits', params_override=(
      f"task.data_dir='{data_dir}',trainer.train_steps=4,"
      'task.train_data.global_batch_size=8,'
      f'task.validation_data.global_batch_size={batch_size},'
      f'task.validation_data.num_examples={NUM_IMAGES},'
      'trainer.optimizer_config.warmup.linear.warmup_steps=1'))
  trainer = driver.run(params, 'train_and_eval', str(tmp_path),
                       models.mirrored(num_replicas),
                       enable_async_checkpointing=False)
  logs = trainer.validation_logs
  assert logs[trainer_lib.NUM_IMAGES] == NUM_IMAGES

  # Once more, image by image.
  task = task_factory.get_task(params.task)
  model = task.build_model()
  tf.train.Checkpoint(model=model).read(
      tf.train.latest_checkpoint(tmp_path)).expect_partial()
  right, losses = [], []
  for images, (labels, weights) in task.build_inputs(
      params.task.validation_data):
    for image, label, weight in zip(images, labels, weights):
      if weight:
        logits = model(image[tf.newaxis], training=False).numpy()[0]
        right.append(logits.argmax() == label.numpy())
        losses.append(np.log(np.exp(logits).sum()) - logits[label])
  assert len(right) == NUM_IMAGES
  assert logs['accuracy'] == pytest.approx(np.mean(right), abs=1e-6)
  assert logs['validation_loss'] == pytest.approx(np.mean(losses), abs=1e-4)
